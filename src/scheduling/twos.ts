/**
 * The power of two choices (Mitzenmacher): two destinations drawn at random in proportion to their weights, of which the
 * less loaded one for its weight takes the connection. Hot path.
 */
import { eligible, lessLoaded } from './load.ts';
import { NONE } from './pool.ts';
import type { Pool } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

/** @param random numbers from 0 up to 1, exclusive */
export function twosWith(random: () => number): Scheduler {
  return {
    ...stateless,
    name: 'twos',

    pick(pool, service) {
      let total = 0;
      for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
        if (eligible(pool, d)) total += pool.weight(d);
      }
      const one = draw(pool, service, random() * total);
      const other = draw(pool, service, random() * total);
      if (one === NONE || other === NONE) return NONE;
      return lessLoaded(pool, other, one) ? other : one;
    },
  };
}

/** The destination whose weight covers the ticket, when the eligible ones are laid end to end. */
function draw(pool: Pool, service: number, ticket: number): number {
  let left = ticket;
  for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
    if (!eligible(pool, d)) continue;
    left -= pool.weight(d);
    if (left < 0) return d;
  }
  return NONE;
}
