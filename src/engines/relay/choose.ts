/** Picks the destination of a new connection or flow. Hot path. */
import type { Pool } from '../../scheduling/pool.ts';
import { NONE } from '../../scheduling/pool.ts';
import { schedulerAt } from '../../scheduling/registry.ts';
import type { Flow } from '../../scheduling/scheduler.ts';

/**
 * The scheduler's choice; or, when that one was tried already and did not answer, the next destination in kernel order
 * that was not. The caller holds the pool's lock, and counts the connection before it lets go.
 * @returns a destination slot, or NONE when nobody is left
 */
export function chooseDestination(pool: Pool, service: number, flow: Flow, tried: readonly number[]): number {
  // Without destinations; it may even have been deleted, and the order to close its socket be still on its way.
  if (pool.head(service) === NONE) return NONE;
  const choice = schedulerAt(pool.scheduler(service)).pick(pool, service, flow);
  if (choice === NONE || !tried.includes(choice)) return choice;
  for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
    if (pool.weight(d) > 0 && pool.usable(d) && !tried.includes(d)) return d;
  }
  return NONE;
}
