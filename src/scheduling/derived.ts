/**
 * A table that follows from a service's destinations alone (buckets of sh and dh, the permutation of mh), so every thread
 * derives its own copy and keeps it until the service's revision changes.
 */
import type { Pool } from './pool.ts';

interface Kept {
  readonly revision: number;
  readonly table: Int32Array;
}

export class Derived {
  readonly #derive: (pool: Pool, service: number) => Int32Array;
  readonly #pools = new WeakMap<Pool, Kept[]>();

  constructor(derive: (pool: Pool, service: number) => Int32Array) {
    this.#derive = derive;
  }

  /** The service's table as of now. Allocates only after a table change. */
  of(pool: Pool, service: number): Int32Array {
    let services = this.#pools.get(pool);
    if (services === undefined) this.#pools.set(pool, (services = []));
    const revision = pool.revision(service);
    let kept = services[service];
    if (kept?.revision !== revision) {
      kept = { revision, table: this.#derive(pool, service) };
      services[service] = kept;
    }
    return kept.table;
  }
}
