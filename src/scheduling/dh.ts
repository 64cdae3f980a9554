/** Destination hashing: the virtual address decides; an unavailable destination refuses. Hot path. */
import { bucketOf, fillBuckets } from './buckets.ts';
import { Derived } from './derived.ts';
import { foldAddress } from './fold-address.ts';
import { eligible } from './load.ts';
import { NONE } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

const buckets = new Derived((pool, service) => fillBuckets(pool, service, () => 1));

export const dh: Scheduler = {
  ...stateless,
  name: 'dh',
  table: (pool, service) => buckets.of(pool, service),

  pick(pool, service, flow) {
    const destination = buckets.of(pool, service)[bucketOf(foldAddress(flow.family, flow.virtual))] ?? NONE;
    return destination !== NONE && eligible(pool, destination) ? destination : NONE;
  },
};
