/**
 * HalfSipHash-1-3 of a connection key: a keyed hash, because clients choose much of the key and must not be able to
 * choose keys that collide. Hot path.
 */
import { KEY_WORDS } from './connection-key.ts';

const FINAL_ROUNDS = 3;

/** 32 bits, signed. Of IPv4 addresses only the first word counts. */
export function hashKey(words: Int32Array, seed: number): number {
  // the key's words 0, 1, 5, 9 for IPv4, all ten for IPv6, then words of 0 for the final rounds
  const step = (words[0] as number) >> 8 === 4 ? 4 : 1;
  const end = KEY_WORDS + FINAL_ROUNDS * step;
  let a = seed | 0;
  let b = ~seed;
  let c = a ^ 0x6c796765;
  let d = b ^ 0x74656462;
  for (let at = 0; at < end; at += at === 0 ? 1 : step) {
    const word = at < KEY_WORDS ? (words[at] as number) : 0;
    d ^= word;
    a = (a + b) | 0;
    b = ((b << 5) | (b >>> 27)) ^ a;
    a = (a << 16) | (a >>> 16);
    c = (c + d) | 0;
    d = ((d << 8) | (d >>> 24)) ^ c;
    a = (a + d) | 0;
    d = ((d << 7) | (d >>> 25)) ^ a;
    c = (c + b) | 0;
    b = ((b << 13) | (b >>> 19)) ^ c;
    c = (c << 16) | (c >>> 16);
    a ^= word;
    if (at === KEY_WORDS - 1) c ^= 0xff;
  }
  return b ^ d;
}
