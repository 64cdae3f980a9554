/** Destination hashing: the virtual address decides; an unavailable destination refuses. Hot path. */
import { Buckets, bucketOf, foldAddress } from './buckets.ts';
import { eligible } from './load.ts';
import { NONE } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

const buckets = new Buckets(() => 1);

export const dh: Scheduler = {
  ...stateless,
  name: 'dh',

  pick(pool, service, flow) {
    const destination = buckets.of(pool, service)[bucketOf(foldAddress(flow.family, flow.virtual))] ?? NONE;
    return destination !== NONE && eligible(pool, destination) ? destination : NONE;
  },
};
