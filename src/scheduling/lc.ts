/** Least connections: the destination with the smallest load, whatever its weight; first of the list on ties. Hot path. */
import { connectionLoad, eligible } from './load.ts';
import { NONE } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

export const lc: Scheduler = {
  ...stateless,
  name: 'lc',

  pick(pool, service) {
    let least = NONE;
    let leastLoad = 0;
    for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
      if (!eligible(pool, d)) continue;
      const load = connectionLoad(pool, d);
      if (least !== NONE && load >= leastLoad) continue;
      least = d;
      leastLoad = load;
    }
    return least;
  },
};
