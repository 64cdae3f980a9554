import t from 'tap';
import type { DestinationId, ServiceId } from '../../src/director/table.ts';
import { CounterReport } from '../../src/engines/counter-report.ts';
import type { Counters } from '../../src/engines/engine.ts';
import { zeroCounters } from '../../src/engines/engine.ts';
import { unpackReport } from '../../src/engines/packed-report.ts';
import type { PoolService } from '../../src/engines/pool-table.ts';
import { Tallies } from '../../src/engines/tallies.ts';
import { Pool } from '../../src/scheduling/pool.ts';
import { masq, roundRobin, tcp80 } from '../support/table.ts';

const size = { services: 4, destinations: 4 };
const server: DestinationId = { address: '10.2.0.11', port: 80 };

/** Two threads that count for services; the first destination of a service has its number. */
function lab() {
  const tallies = [0, 1].map(() => new Tallies(new ArrayBuffer(Tallies.bytes(8))));
  const services = new Map<number, PoolService>();
  const report = new CounterReport({
    pool: Pool.create(size),
    size,
    tallies,
    services: () => services.values(),
  });
  return {
    add: (slot: number, id: ServiceId) => {
      const destinations = new Map([['', { id: server, slot, settings: masq }]]);
      const service = { id, slot, settings: roundRobin, destinations };
      services.set(slot, service);
      report.slotTaken('service', slot);
      report.slotTaken('destination', slot);
      return service;
    },
    remove: (slot: number) => services.delete(slot),
    /** A connection with one packet each way, on that thread. */
    traffic: (slot: number, thread: number) => {
      for (const row of [slot, size.services + slot]) {
        tallies[thread]?.connection(row);
        tallies[thread]?.incoming(row, 60);
        tallies[thread]?.outgoing(row, 40);
      }
    },
    zero: (service?: PoolService) => {
      report.zero(service);
    },
    /** Connections of every service, and of all together. */
    connections: () => unpackReport(report.report()).services.map(({ counters }) => counters.connections),
    totals: () => report.report().totals,
  };
}

function connections(count: number): Counters {
  return {
    connections: count,
    inPackets: count,
    outPackets: count,
    inBytes: 60 * count,
    outBytes: 40 * count,
  };
}

t.test('the total is of all services and threads, and outlives them', (t) => {
  const { add, remove, traffic, zero, ...seen } = lab();
  t.same(seen.totals(), zeroCounters);
  const web = add(0, tcp80);
  add(3, { ...tcp80, port: 81 });
  for (const [slot, thread] of [
    [0, 0],
    [0, 1],
    [3, 1],
  ] as const) {
    traffic(slot, thread);
  }
  t.same(seen.totals(), connections(3), 'destinations are not counted twice');
  zero(web);
  t.same([seen.connections(), seen.totals()], [[0, 1], connections(3)], 'one service is zeroed for itself');
  remove(0);
  t.same(seen.totals(), connections(3), 'a deleted service has done what it did');
  add(0, { ...tcp80, port: 82 });
  traffic(0, 0);
  t.same([seen.connections(), seen.totals()], [[1, 1], connections(4)]);
  zero();
  t.same([seen.connections(), seen.totals()], [[0, 0], zeroCounters]);
  traffic(3, 0);
  t.same([seen.connections(), seen.totals()], [[1, 0], connections(1)]);
  t.end();
});
