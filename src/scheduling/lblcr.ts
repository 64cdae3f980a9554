/**
 * Locality-based least connections with replication: a virtual address has a set of destinations, of which the least
 * loaded serves; when that is busier than its share, the choice of wlc joins. A set that did not change for
 * a day loses its most loaded member. Hot path.
 */
import { eligible, lessLoaded } from './load.ts';
import { EXPIRATION, shouldShare } from './locality.ts';
import { NONE } from './pool.ts';
import type { Pool } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';
import { wlc } from './wlc.ts';

/**
 * State words: how many joined so far; how many of them are forgotten; second of the last use; second when a member joined
 * or left. A destination's note is its number among those that joined, so a member that is deleted and comes
 * back to its connections is one still, and a new destination in the same slot is not.
 */
const JOINED = 0;
const FORGOTTEN = 1;
const LAST_USE = 2;
const LAST_CHANGE = 3;

export const lblcr: Scheduler = {
  ...stateless,
  name: 'lblcr',

  attached(pool, service) {
    for (let d = pool.head(service); d !== NONE; d = pool.next(d)) pool.setNote(d, 0);
  },

  pick(pool, service, flow) {
    const { now } = flow;
    if (expired(pool, service, LAST_USE, now)) {
      pool.setState(service, FORGOTTEN, pool.state(service, JOINED));
    }
    pool.setState(service, LAST_USE, now);
    const least = extremeMember(pool, service, 1, eligible);
    if (expired(pool, service, LAST_CHANGE, now) && size(pool, service) > 1) {
      leave(pool, service, extremeMember(pool, service, -1, hasWeight), now);
    }
    if (least !== NONE && !shouldShare(pool, service, least)) return least;
    const chosen = wlc.pick(pool, service, flow);
    if (chosen !== NONE && !isMember(pool, service, chosen)) join(pool, service, chosen, now);
    return chosen;
  },
};

function expired(pool: Pool, service: number, since: number, now: number): boolean {
  return now - pool.state(service, since) > EXPIRATION;
}

function isMember(pool: Pool, service: number, destination: number): boolean {
  return pool.note(destination) > pool.state(service, FORGOTTEN);
}

function join(pool: Pool, service: number, destination: number, now: number): void {
  const number = pool.state(service, JOINED) + 1;
  pool.setState(service, JOINED, number);
  pool.setNote(destination, number);
  pool.setState(service, LAST_CHANGE, now);
}

function leave(pool: Pool, service: number, destination: number, now: number): void {
  if (destination === NONE) return;
  pool.setNote(destination, 0);
  pool.setState(service, LAST_CHANGE, now);
}

function size(pool: Pool, service: number): number {
  let members = 0;
  for (let d = pool.head(service); d !== NONE; d = pool.next(d)) if (isMember(pool, service, d)) members++;
  return members;
}

function hasWeight(pool: Pool, destination: number): boolean {
  return pool.weight(destination) > 0;
}

/** The member with the least (1) or the most (-1) load for its weight, on ties the one that joined last; or NONE. */
function extremeMember(
  pool: Pool,
  service: number,
  direction: 1 | -1,
  fits: (pool: Pool, destination: number) => boolean,
): number {
  let found = NONE;
  for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
    if (!isMember(pool, service, d) || !fits(pool, d)) continue;
    const order = found === NONE ? -1 : direction * compareLoad(pool, d, found);
    if (order < 0 || (order === 0 && pool.note(d) > pool.note(found))) found = d;
  }
  return found;
}

/** Negative when one has less load for its weight than the other. */
function compareLoad(pool: Pool, one: number, other: number): number {
  if (lessLoaded(pool, one, other)) return -1;
  return lessLoaded(pool, other, one) ? 1 : 0;
}
