/**
 * Locality-based least connections: a virtual address stays with its destination while that has a weight and is not
 * busier than its share; then the choice of wlc is the next to be remembered. As in the kernel, reaching the upper
 * threshold does not turn the remembered one down. Hot path.
 */
import { EXPIRATION, shouldShare } from './locality.ts';
import { NONE } from './pool.ts';
import type { Pool } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';
import { wlc } from './wlc.ts';

/**
 * State words: remembered destination + 1, or 0; second of its last use. The remembered one's note is 1, so it is known
 * when it is deleted and comes back to its connections, and a new destination in the same slot is not taken for it.
 */
const REMEMBERED = 0;
const LAST_USE = 1;
const NOTED = 1;

export const lblc: Scheduler = {
  ...stateless,
  name: 'lblc',

  pick(pool, service, flow) {
    const remembered = pool.state(service, REMEMBERED) - 1;
    const stays =
      remembered !== NONE &&
      isStill(pool, service, remembered) &&
      flow.now - pool.state(service, LAST_USE) <= EXPIRATION &&
      pool.weight(remembered) > 0 &&
      !pool.barred(remembered) &&
      !shouldShare(pool, service, remembered);
    const destination = stays ? remembered : wlc.pick(pool, service, flow);
    if (destination === NONE) return NONE;
    if (!stays) remember(pool, service, remembered, destination);
    pool.setState(service, LAST_USE, flow.now);
    return destination;
  },
};

function isStill(pool: Pool, service: number, remembered: number): boolean {
  return (
    pool.available(remembered) && pool.serviceOf(remembered) === service && pool.note(remembered) === NOTED
  );
}

function remember(pool: Pool, service: number, before: number, destination: number): void {
  if (before !== NONE && pool.serviceOf(before) === service) pool.setNote(before, 0);
  pool.setNote(destination, NOTED);
  pool.setState(service, REMEMBERED, destination + 1);
}
