/** Weighted least connections: the smallest load for its weight, first of the list on ties. Hot path. */
import { connectionLoad, lightest, weightOf } from './load.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

export const wlc: Scheduler = {
  ...stateless,
  name: 'wlc',
  pick: (pool, service) => lightest(pool, service, connectionLoad, weightOf),
};
