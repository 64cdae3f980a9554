/**
 * Weighted overflow: the highest weight among destinations whose active connections do not exceed their weight, so
 * traffic spills over to the next one. When all are full the connection is refused. Hot path.
 */
import { NONE } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

export const ovf: Scheduler = {
  ...stateless,
  name: 'ovf',

  pick(pool, service) {
    let best = NONE;
    let highest = 0;
    for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
      const weight = pool.weight(d);
      if (weight <= highest || pool.active(d) > weight || !pool.usable(d)) continue;
      best = d;
      highest = weight;
    }
    return best;
  },
};
