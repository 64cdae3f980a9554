/**
 * A quick hash of an address for tables that are caches: who makes addresses collide gains nothing but misses, so it
 * needs no key. Hot path.
 */

/** 32 bits, signed; the low ones are good. */
export function hashWords(address: Int32Array): number {
  let hash = Math.imul(address[0] as number, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 15) ^ (address[1] as number), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13) ^ (address[2] as number), 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 16) ^ (address[3] as number), 0x27d4eb2f);
  return hash ^ (hash >>> 15);
}
