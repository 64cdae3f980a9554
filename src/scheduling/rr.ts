/**
 * Round robin: the next eligible destination after the last one, weights apart from 0 ignored.
 * State: word 0 is the last destination + 1, or 0 before the first of the list. Hot path.
 */
import { eligible } from './load.ts';
import { NONE } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

const LAST = 0;

export const rr: Scheduler = {
  ...stateless,
  name: 'rr',

  removing(pool, service, destination) {
    if (pool.state(service, LAST) - 1 === destination) {
      pool.setState(service, LAST, pool.previous(destination) + 1);
    }
  },

  pick(pool, service) {
    const last = pool.state(service, LAST) - 1;
    let destination = last;
    for (let tried = pool.count(service); tried > 0; tried--) {
      destination = destination === NONE ? NONE : pool.next(destination);
      if (destination === NONE) destination = pool.head(service);
      if (!eligible(pool, destination)) continue;
      pool.setState(service, LAST, destination + 1);
      return destination;
    }
    return NONE;
  },
};
