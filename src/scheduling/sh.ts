/**
 * Source hashing: the client's address (with sh-port its port too) decides, each server holding as many buckets as its
 * weight. An unavailable server refuses, unless sh-fallback lets the following buckets step in. Hot path.
 */
import { BUCKETS, bucketOf, fillBuckets } from './buckets.ts';
import { Derived } from './derived.ts';
import { foldAddress } from './fold-address.ts';
import { eligible } from './load.ts';
import { NONE } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

/** Scheduler flags of the service. */
const FALLBACK = 1;
const PORT = 2;

/** A quiescent server keeps one bucket. */
const buckets = new Derived((pool, service) => fillBuckets(pool, service, (weight) => Math.max(1, weight)));

export const sh: Scheduler = {
  ...stateless,
  name: 'sh',
  table: (pool, service) => buckets.of(pool, service),

  pick(pool, service, flow) {
    const table = buckets.of(pool, service);
    const flags = pool.flags(service);
    const port = (flags & PORT) === 0 ? 0 : flow.clientPort;
    const first = bucketOf(foldAddress(flow.family, flow.client) + port);
    const destination = table[first] ?? NONE;
    if (destination === NONE || eligible(pool, destination)) return destination;
    if ((flags & FALLBACK) === 0) return NONE;
    // the search starts at twice the hash: it offsets the hash by the hash, and so spreads a failed server's clients
    for (let offset = 0; offset < BUCKETS; offset++) {
      const other = table[(first + first + offset) % BUCKETS] ?? NONE;
      if (eligible(pool, other)) return other;
    }
    return NONE;
  },
};
