/** Weighted least connections: the smallest load for its weight, first of the list on ties. Hot path. */
import { connectionLoad, eligible, lighter } from './load.ts';
import { NONE } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

export const wlc: Scheduler = {
  ...stateless,
  name: 'wlc',

  pick(pool, service) {
    let least = NONE;
    let leastLoad = 0;
    for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
      if (!eligible(pool, d)) continue;
      const load = connectionLoad(pool, d);
      if (least !== NONE && !lighter(load, pool.weight(d), leastLoad, pool.weight(least))) continue;
      least = d;
      leastLoad = load;
    }
    return least;
  },
};
