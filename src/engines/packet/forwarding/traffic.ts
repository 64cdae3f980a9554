/** Counts packets for a destination and its service, as long as the destination is in the table. Hot path. */
import type { Pool, PoolSize } from '../../../scheduling/pool.ts';
import type { Tallies } from '../../tallies.ts';

export class Traffic {
  readonly #pool: Pool;
  readonly #tallies: Tallies;
  readonly #services: number;

  constructor(parts: { readonly pool: Pool; readonly size: PoolSize; readonly tallies: Tallies }) {
    this.#pool = parts.pool;
    this.#tallies = parts.tallies;
    this.#services = parts.size.services;
  }

  connection(destination: number): void {
    this.#tallies.connection(this.#pool.serviceOf(destination));
    this.#tallies.connection(this.#services + destination);
  }

  incoming(destination: number, bytes: number): void {
    if (!this.#pool.available(destination)) return;
    this.#tallies.incoming(this.#pool.serviceOf(destination), bytes);
    this.#tallies.incoming(this.#services + destination, bytes);
  }

  outgoing(destination: number, bytes: number): void {
    if (!this.#pool.available(destination)) return;
    this.#tallies.outgoing(this.#pool.serviceOf(destination), bytes);
    this.#tallies.outgoing(this.#services + destination, bytes);
  }
}
