/** Weighted failover: everything to the eligible destination of the highest weight, first of the list on ties. Hot path. */
import { NONE } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

export const fo: Scheduler = {
  ...stateless,
  name: 'fo',

  pick(pool, service) {
    let best = NONE;
    let highest = 0;
    for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
      if (pool.weight(d) <= highest || !pool.usable(d)) continue;
      best = d;
      highest = pool.weight(d);
    }
    return best;
  },
};
