/**
 * How loaded a destination is, and which of two is the less loaded for its weight. Hot path: allocates nothing.
 */
import { NONE } from './pool.ts';
import type { Pool } from './pool.ts';

/** May take new connections at all: neither quiescent nor overloaded. */
export function eligible(pool: Pool, destination: number): boolean {
  return pool.weight(destination) > 0 && pool.usable(destination);
}

/** A number that a scheduler weighs a destination by. */
export type Measure = (pool: Pool, destination: number) => number;

/** The eligible destination with the smallest cost for its share, first of the list on ties; NONE without any. */
export function lightest(pool: Pool, service: number, costOf: Measure, shareOf: Measure): number {
  let found = NONE;
  let least = 0;
  let leastShare = 1;
  for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
    if (!eligible(pool, d)) continue;
    const cost = costOf(pool, d);
    const share = shareOf(pool, d);
    if (found !== NONE && !lighter(cost, share, least, leastShare)) continue;
    found = d;
    least = cost;
    leastShare = share;
  }
  return found;
}

/** The share of a scheduler that weighs by weight. */
export function weightOf(pool: Pool, destination: number): number {
  return pool.weight(destination);
}

/** IPVS's cost of a destination's connections: an active one is worth 256 inactive ones. */
export function connectionLoad(pool: Pool, destination: number): number {
  return pool.active(destination) * 256 + pool.inactive(destination);
}

/** Whether one destination has less load for its weight than another; both have a weight. */
export function lessLoaded(pool: Pool, one: number, other: number): boolean {
  return lighter(
    connectionLoad(pool, one),
    pool.weight(one),
    connectionLoad(pool, other),
    pool.weight(other),
  );
}

/** SED's cost: the delay that the new connection is expected to see. */
export function expectedDelay(pool: Pool, destination: number): number {
  return pool.active(destination) + 1;
}

/**
 * Whether load / weight < otherLoad / otherWeight, exactly, for loads below 2^53 and weights from 1 to 2^31. Cross
 * products that a double cannot hold are compared as continued fractions instead: whole parts first, then the
 * reciprocals of the rests.
 */
export function lighter(load: number, weight: number, otherLoad: number, otherWeight: number): boolean {
  const left = load * otherWeight;
  const right = otherLoad * weight;
  if (left <= Number.MAX_SAFE_INTEGER && right <= Number.MAX_SAFE_INTEGER) return left < right;
  const rest = load % weight;
  const otherRest = otherLoad % otherWeight;
  const whole = (load - rest) / weight;
  const otherWhole = (otherLoad - otherRest) / otherWeight;
  if (whole !== otherWhole) return whole < otherWhole;
  if (rest === 0 || otherRest === 0) return rest < otherRest;
  return lighter(otherWeight, otherRest, weight, rest);
}
