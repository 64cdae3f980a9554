/** Shortest expected delay: the smallest (active + 1) / weight, first of the list on ties. Hot path. */
import { eligible, expectedDelay, lighter } from './load.ts';
import { NONE } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

export const sed: Scheduler = {
  ...stateless,
  name: 'sed',

  pick(pool, service) {
    let least = NONE;
    let leastDelay = 0;
    for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
      if (!eligible(pool, d)) continue;
      const delay = expectedDelay(pool, d);
      if (least !== NONE && !lighter(delay, pool.weight(d), leastDelay, pool.weight(least))) continue;
      least = d;
      leastDelay = delay;
    }
    return least;
  },
};
