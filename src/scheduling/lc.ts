/** Least connections: the destination with the smallest load, whatever its weight; first of the list on ties. Hot path. */
import { connectionLoad, lightest } from './load.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

const one = (): number => 1;

export const lc: Scheduler = {
  ...stateless,
  name: 'lc',
  pick: (pool, service) => lightest(pool, service, connectionLoad, one),
};
