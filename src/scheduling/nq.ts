/** Never queue: the first eligible destination without an active connection; when all have some, as sed. Hot path. */
import { eligible } from './load.ts';
import { NONE } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { sed } from './sed.ts';
import { stateless } from './stateless.ts';

export const nq: Scheduler = {
  ...stateless,
  name: 'nq',

  pick(pool, service, flow) {
    for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
      if (pool.active(d) === 0 && eligible(pool, d)) return d;
    }
    return sed.pick(pool, service, flow);
  },
};
