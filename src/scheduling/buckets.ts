/**
 * The 256 buckets of the hashing schedulers sh and dh, filled by going round the destination list. They follow from
 * the table alone, so every thread derives its own copy and keeps it until the service's revision changes.
 */
import { NONE } from './pool.ts';
import type { Pool } from './pool.ts';

export const BUCKETS = 256;

/** 2^32 divided by the square of the golden ratio: the kernel's multiplier for hashing 32-bit values. */
const GOLDEN_RATIO = 0x61c88647;

/** The kernel's hash of a 32-bit value to a bucket. */
export function bucketOf(value: number): number {
  return Math.imul(value, GOLDEN_RATIO) >>> 24;
}

/** An address as one 32-bit value; IPv6 is folded. */
export function foldAddress(family: 4 | 6, words: Int32Array): number {
  const first = words[0] ?? 0;
  return family === 4 ? first : first ^ (words[1] ?? 0) ^ (words[2] ?? 0) ^ (words[3] ?? 0);
}

interface Filled {
  readonly revision: number;
  /** Destination of each bucket, NONE in a service without destinations. */
  readonly destinations: Int32Array;
}

export class Buckets {
  /** How many consecutive buckets a destination of some weight takes. */
  readonly #share: (weight: number) => number;
  readonly #pools = new WeakMap<Pool, Filled[]>();

  constructor(share: (weight: number) => number) {
    this.#share = share;
  }

  /** The service's buckets as of now. Allocates only after a table change. */
  of(pool: Pool, service: number): Int32Array {
    let services = this.#pools.get(pool);
    if (services === undefined) this.#pools.set(pool, (services = []));
    const revision = pool.revision(service);
    let filled = services[service];
    if (filled?.revision !== revision) {
      filled = { revision, destinations: this.#fill(pool, service) };
      services[service] = filled;
    }
    return filled.destinations;
  }

  #fill(pool: Pool, service: number): Int32Array {
    const destinations = new Int32Array(BUCKETS).fill(NONE);
    let destination = pool.head(service);
    for (let bucket = 0; destination !== NONE && bucket < BUCKETS;) {
      const end = Math.min(BUCKETS, bucket + this.#share(pool.weight(destination)));
      destinations.fill(destination, bucket, end);
      bucket = end;
      destination = pool.next(destination);
      if (destination === NONE) destination = pool.head(service);
    }
    return destinations;
  }
}
