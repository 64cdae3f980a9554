/** Shortest expected delay: the smallest (active + 1) / weight, first of the list on ties. Hot path. */
import { expectedDelay, lightest, weightOf } from './load.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

export const sed: Scheduler = {
  ...stateless,
  name: 'sed',
  pick: (pool, service) => lightest(pool, service, expectedDelay, weightOf),
};
