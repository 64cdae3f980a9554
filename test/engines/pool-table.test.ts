import t from 'tap';
import type { Verb } from '../../src/director/verbs.ts';
import { PoolTable } from '../../src/engines/pool-table.ts';
import { Pool } from '../../src/scheduling/pool.ts';
import { masq, roundRobin, tcp80 } from '../support/table.ts';

const nothing = (): undefined => undefined;
const destination = { address: '10.2.0.11', port: 80 };
const add: Verb = { verb: 'add-destination', service: tcp80, destination, settings: masq };
const addService: Verb = { verb: 'add-service', service: tcp80, settings: roundRobin };

/** A table with one service and one server, which has a connection. */
function lab() {
  const pool = Pool.create({ services: 4, destinations: 4 });
  const lives: string[] = [];
  const revivals: boolean[] = [];
  const table = new PoolTable(
    pool,
    { services: 4, destinations: 4 },
    {
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
    },
  );
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
