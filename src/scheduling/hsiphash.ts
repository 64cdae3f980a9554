/**
 * The kernel's `hsiphash` of one 32-bit value on a 64-bit host: SipHash-1-3 (Aumasson and Bernstein), of which the low
 * half is kept. In 32-bit arithmetic on a scratch state, because BigInt would allocate. Hot path.
 */

/** v0 to v3 of SipHash, each as its low and its high word. */
const state = new Int32Array(8);
const V0 = 0;
const V1 = 2;
const V2 = 4;
const V3 = 6;

/** "somepseudorandomlygeneratedbytes", the start of every SipHash. */
const START = Int32Array.of(
  0x70736575,
  0x736f6d65,
  0x6e646f6d,
  0x646f7261,
  0x6e657261,
  0x6c796765,
  0x79746573,
  0x74656462,
);

const LENGTH = 4 << 24;

/**
 * @param value 32 bits, signed or not
 * @param key 32 bits: the value of both 64-bit halves of the key
 * @returns 32 bits, unsigned
 */
export function hsiphash(value: number, key: number): number {
  for (let word = 0; word < 8; word++) state[word] = (START[word] as number) ^ (word % 2 === 0 ? key : 0);
  mix(V3, value, LENGTH);
  round();
  mix(V0, value, LENGTH);
  mix(V2, 0xff, 0);
  round();
  round();
  round();
  return (low(V0) ^ low(V1) ^ low(V2) ^ low(V3)) >>> 0;
}

function round(): void {
  addThenTurn(V0, V1, 13);
  swapHalves(V0);
  addThenTurn(V2, V3, 16);
  addThenTurn(V0, V3, 21);
  addThenTurn(V2, V1, 17);
  swapHalves(V2);
}

/** to += from; from is rotated left by so many bits (below 32), then combined with the sum. */
function addThenTurn(to: number, from: number, bits: number): void {
  const sum = (low(to) >>> 0) + (low(from) >>> 0);
  const high = high32(to) + high32(from) + (sum > 0xffffffff ? 1 : 0);
  state[to] = sum;
  state[to + 1] = high;
  const turnedLow = (low(from) << bits) | (high32(from) >>> (32 - bits));
  const turnedHigh = (high32(from) << bits) | (low(from) >>> (32 - bits));
  state[from] = turnedLow ^ low(to);
  state[from + 1] = turnedHigh ^ high32(to);
}

/** A rotation by 32 bits. */
function swapHalves(of: number): void {
  const kept = low(of);
  state[of] = high32(of);
  state[of + 1] = kept;
}

function mix(into: number, lowWord: number, highWord: number): void {
  state[into] = low(into) ^ lowWord;
  state[into + 1] = high32(into) ^ highWord;
}

function low(of: number): number {
  return state[of] as number;
}

function high32(of: number): number {
  return state[of + 1] as number;
}
