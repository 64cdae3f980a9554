/**
 * Weighted round robin: passes over the list at falling levels, from `mw` down to 1 in steps of the weights' common
 * divisor; a destination is chosen in every pass whose level its weight reaches. Hot path.
 *
 * The state survives table changes (the level is only adapted), which is why the first round after filling a service
 * usually starts below the highest level: the level was fixed when the first server came.
 */
import { greatestCommonDivisor } from './greatest-common-divisor.ts';
import { NONE } from './pool.ts';
import type { Pool } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

/** State words: last destination + 1 or 0 before the first; current level; highest level; step between levels. */
const CURSOR = 0;
const LEVEL = 1;
const HIGHEST = 2;
const STEP = 3;

export const wrr: Scheduler = {
  ...stateless,
  name: 'wrr',

  attached(pool, service) {
    measure(pool, service);
    pool.setState(service, LEVEL, pool.state(service, HIGHEST));
  },

  changed(pool, service) {
    measure(pool, service);
    const level = pool.state(service, LEVEL);
    const highest = pool.state(service, HIGHEST);
    const step = pool.state(service, STEP);
    pool.setState(service, CURSOR, 0);
    if (level > highest || level === 0) pool.setState(service, LEVEL, highest);
    else if (step > 1) pool.setState(service, LEVEL, level - (level % step) + 1);
  },

  pick(pool, service) {
    if (pool.state(service, HIGHEST) === 0) return NONE;
    const cursor = pool.state(service, CURSOR) - 1;
    let level = pool.state(service, LEVEL);
    let destination = firstReaching(pool, cursor === NONE ? pool.head(service) : pool.next(cursor), level);
    if (destination === NONE) {
      level = nextLevel(pool, service, level);
      if (level === 0) return refuse(pool, service);
      destination = firstReaching(pool, pool.head(service), level);
      pool.setState(service, LEVEL, level);
    }
    pool.setState(service, CURSOR, destination + 1);
    return destination;
  },
};

/**
 * All are overloaded. The search went through every pass and ends before the highest, except from the middle of the lowest:
 * then it comes back to where it began.
 */
function refuse(pool: Pool, service: number): typeof NONE {
  const inLowest = pool.state(service, LEVEL) <= pool.state(service, STEP);
  if (!inLowest || pool.state(service, CURSOR) === 0) {
    pool.setState(service, CURSOR, 0);
    pool.setState(service, LEVEL, pool.state(service, HIGHEST));
  }
  return NONE;
}

function firstReaching(pool: Pool, from: number, level: number): number {
  let destination = from;
  while (destination !== NONE && !(pool.usable(destination) && pool.weight(destination) >= level)) {
    destination = pool.next(destination);
  }
  return destination;
}

/**
 * The next lower level, round again after the lowest, that at least one usable destination reaches; 0 when there is
 * none. Empty passes are jumped over, so an overloaded server of weight 1000000 does not cost a million passes.
 */
function nextLevel(pool: Pool, service: number, level: number): number {
  let heaviest = 0;
  for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
    if (pool.usable(d)) heaviest = Math.max(heaviest, pool.weight(d));
  }
  if (heaviest === 0) return 0;
  const step = pool.state(service, STEP);
  const lower = level - step > 0 ? level - step : pool.state(service, HIGHEST);
  return lower <= heaviest ? lower : lower - Math.ceil((lower - heaviest) / step) * step;
}

function measure(pool: Pool, service: number): void {
  let divisor = 0;
  let heaviest = 0;
  for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
    divisor = greatestCommonDivisor(pool.weight(d), divisor);
    heaviest = Math.max(heaviest, pool.weight(d));
  }
  const step = Math.max(1, divisor);
  pool.setState(service, STEP, step);
  pool.setState(service, HIGHEST, heaviest === 0 ? 0 : heaviest - (step - 1));
}
