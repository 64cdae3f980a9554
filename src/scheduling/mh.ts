/**
 * Maglev hashing: the client's address (with mh-port its port too) decides, over a table that changes little when servers
 * come and go. An unavailable server refuses, unless mh-fallback lets its clients be hashed again. Hot path.
 */
import { Derived } from './derived.ts';
import { foldAddress } from './fold-address.ts';
import { hsiphash } from './hsiphash.ts';
import { eligible } from './load.ts';
import { fillMaglev, MAGLEV_KEY, MAGLEV_SLOTS } from './maglev.ts';
import { NONE } from './pool.ts';
import type { Scheduler } from './scheduler.ts';
import { stateless } from './stateless.ts';

/** Scheduler flags of the service. */
const FALLBACK = 1;
const PORT = 2;

const tables = new Derived(fillMaglev);

export const mh: Scheduler = {
  ...stateless,
  name: 'mh',
  table: (pool, service) => tables.of(pool, service),

  pick(pool, service, flow) {
    const table = tables.of(pool, service);
    const flags = pool.flags(service);
    const client = foldAddress(flow.family, flow.client) + ((flags & PORT) === 0 ? 0 : flow.clientPort);
    const first = hsiphash(client, MAGLEV_KEY) % MAGLEV_SLOTS;
    const destination = table[first] ?? NONE;
    if (destination === NONE || eligible(pool, destination)) return destination;
    if ((flags & FALLBACK) === 0) return NONE;
    for (let tried = 0; tried < MAGLEV_SLOTS; tried++) {
      const offset = (first + tried) % MAGLEV_SLOTS;
      const other = table[hsiphash(client + offset, MAGLEV_KEY) % MAGLEV_SLOTS] ?? NONE;
      if (eligible(pool, other)) return other;
    }
    return NONE;
  },
};
