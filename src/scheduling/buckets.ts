/** The 256 buckets of the hashing schedulers sh and dh, filled by going round the destination list. */
import { NONE } from './pool.ts';
import type { Pool } from './pool.ts';

export const BUCKETS = 256;

/** 2^32 divided by the square of the golden ratio: the kernel's multiplier for hashing 32-bit values. */
const GOLDEN_RATIO = 0x61c88647;

/** The kernel's hash of a 32-bit value to a bucket. Hot path. */
export function bucketOf(value: number): number {
  return Math.imul(value, GOLDEN_RATIO) >>> 24;
}

/**
 * The destination of each bucket, NONE in a service without destinations. Table change.
 * @param share how many consecutive buckets a destination of some weight takes
 */
export function fillBuckets(pool: Pool, service: number, share: (weight: number) => number): Int32Array {
  const destinations = new Int32Array(BUCKETS).fill(NONE);
  let destination = pool.head(service);
  for (let bucket = 0; destination !== NONE && bucket < BUCKETS;) {
    const end = Math.min(BUCKETS, bucket + share(pool.weight(destination)));
    destinations.fill(destination, bucket, end);
    bucket = end;
    destination = pool.next(destination);
    if (destination === NONE) destination = pool.head(service);
  }
  return destinations;
}
