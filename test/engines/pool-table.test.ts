import t from 'tap';
import type { Verb } from '../../src/director/verbs.ts';
import type { PoolService, PoolTableEvents } from '../../src/engines/pool-table.ts';
import { PoolTable } from '../../src/engines/pool-table.ts';
import { Pool } from '../../src/scheduling/pool.ts';
import { masq, roundRobin, tcp80 } from '../support/table.ts';

const nothing = (): undefined => undefined;
const destination = { address: '10.2.0.11', port: 80 };
const add: Verb = { verb: 'add-destination', service: tcp80, destination, settings: masq };
const addService: Verb = { verb: 'add-service', service: tcp80, settings: roundRobin };

const size = { services: 4, destinations: 4 };

function tableOver(pool: Pool, events: Partial<PoolTableEvents> = {}) {
  const lives: string[] = [];
  const revivals: boolean[] = [];
  const table = new PoolTable(pool, size, {
    refusal: nothing,
    engine: 'test',
    timeouts: nothing,
    problem: nothing,
    slotTaken: (kind) => lives.push(kind),
    zeroed: nothing,
    serviceAdded: nothing,
    serviceEdited: nothing,
    serviceRemoved: nothing,
    destinationSet: (_service, _destination, revived) => revivals.push(revived),
    destinationRemoved: nothing,
    applied: nothing,
    ...events,
  });
  return { pool, table, lives, revivals };
}

/** A table with one service and one server, which has a connection. */
function lab() {
  const { pool, table, lives, revivals } = tableOver(Pool.create(size));
  table.apply([addService, add]);
  const [service] = table.services();
  const slot = service?.destinations.get('10.2.0.11:80')?.slot ?? -1;
  pool.addActive(slot, 1);
  return { pool, table, lives, revivals, slot };
}

t.test('a server that comes back to its service has its connections and its counters', (t) => {
  const { table, lives, revivals, slot } = lab();
  table.apply([{ verb: 'delete-destination', service: tcp80, destination }, add]);
  const [service] = table.services();
  t.equal(service?.destinations.get('10.2.0.11:80')?.slot, slot);
  t.same(
    [revivals, lives],
    [
      [false, true],
      ['service', 'destination'],
    ],
  );
  t.end();
});

t.test('one that comes back to another service of the same name counts from zero', (t) => {
  const { pool, table, lives, revivals, slot } = lab();
  table.apply([{ verb: 'delete-service', service: tcp80 }, addService, add]);
  const [service] = table.services();
  t.equal(service?.destinations.get('10.2.0.11:80')?.slot, slot);
  t.equal(pool.active(slot), 1);
  t.same(
    [revivals, lives],
    [
      [false, true],
      ['service', 'destination', 'service', 'destination'],
    ],
  );
  t.end();
});

t.test('another table over the same pool goes on where the first one ended', (t) => {
  const first = lab();
  const { pool, slot } = first;
  first.table.apply([{ verb: 'delete-destination', service: tcp80, destination }]);
  const service: PoolService = { id: tcp80, slot: 0, settings: roundRobin, destinations: new Map() };
  const deleted = { service, destination: { id: destination, slot, settings: masq } };
  const next = tableOver(pool);
  pool.mend();
  next.table.adopt([service], [deleted]);
  t.same([...next.table.services()], [service]);
  t.equal(next.table.service(0), service);
  next.table.apply([add]);
  t.same([next.revivals, next.lives], [[true], []]);
  t.equal(next.table.nameOf(slot), '10.2.0.11:80 of tcp:10.1.0.100:80');
  t.end();
});

t.test('an engine is told before anybody can pick a destination, and before a service loses its own', (t) => {
  const seen: string[] = [];
  const { table, pool } = tableOver(Pool.create(size), {
    destinationComes: (_service, { slot }) => seen.push(`comes with weight ${pool.weight(slot)}`),
    destinationSet: (_service, { slot }) => seen.push(`set with weight ${pool.weight(slot)}`),
    serviceLeaves: ({ destinations }) => seen.push(`leaves with ${destinations.size}`),
  });
  table.apply([addService, add, { verb: 'delete-service', service: tcp80 }]);
  t.same(seen, ['comes with weight 0', 'set with weight 1', 'leaves with 1']);
  t.end();
});

t.test('a deleted server that nothing refers to any more is forgotten', (t) => {
  const { pool, table, lives, slot } = lab();
  table.apply([{ verb: 'delete-destination', service: tcp80, destination }]);
  pool.addActive(slot, -1);
  table.forgetRemains();
  table.apply([add]);
  t.same(lives, ['service', 'destination', 'destination']);
  t.end();
});
