/**
 * What lblc and lblcr share. Both remember, for each virtual address, who serves it, so that one cache holds one site.
 *
 * The memory is kept in the service's state words, for one virtual address: all that a service with an address can have.
 * A firewall-mark service has many, which would share it. An engine that serves those has to keep a table beside the pool
 * from `flow.virtual` to what the words hold here. A server that is deleted and added again is remembered while connections
 * hold its slot; without any it is forgotten, where the kernel remembers it.
 */
import { NONE } from './pool.ts';
import type { Pool } from './pool.ts';

/** Seconds after which a memory that was not used is dropped (the kernel's default of `lblc_expiration`). */
export const EXPIRATION = 86_400;

/** More active connections than its weight, while some destination has less than half of its own. Hot path. */
export function shouldShare(pool: Pool, service: number, destination: number): boolean {
  if (pool.active(destination) <= pool.weight(destination)) return false;
  for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
    if (pool.active(d) * 2 < pool.weight(d)) return true;
  }
  return false;
}
