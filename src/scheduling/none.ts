/** No scheduler: every new connection is refused, established ones go on. */
import { NONE } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

export const none: Scheduler = {
  ...stateless,
  name: 'none',
  pick: () => NONE,
};
