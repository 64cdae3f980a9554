/** The notifications of a scheduler that keeps no state: it looks at weights and counts afresh for every connection. */
import type { Scheduler } from './scheduler.ts';

export const stateless: Pick<Scheduler, 'attached' | 'changed' | 'removing'> = {
  attached: () => undefined,
  changed: () => undefined,
  removing: () => undefined,
};
