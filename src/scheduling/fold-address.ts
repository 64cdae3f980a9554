/** Addresses as the 32-bit value that sh, dh and mh hash. Hot path. */
import type { Pool } from './pool.ts';

/** IPv6 is folded. Words as in a flow: host order, IPv4 in word 0. */
export function foldAddress(family: 4 | 6, words: Int32Array): number {
  const first = words[0] ?? 0;
  return family === 4 ? first : first ^ (words[1] ?? 0) ^ (words[2] ?? 0) ^ (words[3] ?? 0);
}

/** The same of a destination's address, whose words 1 to 3 are 0 for IPv4. */
export function foldDestination(pool: Pool, destination: number): number {
  return (
    pool.addressWord(destination, 0) ^
    pool.addressWord(destination, 1) ^
    pool.addressWord(destination, 2) ^
    pool.addressWord(destination, 3)
  );
}
