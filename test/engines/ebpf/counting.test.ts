/** Traffic as the BPF programs count it, and what reports make of that. */
import t from 'tap';
import type { LoadedDirector } from '../../../src/engines/ebpf/program.ts';
import type { EbpfTable } from '../../../src/engines/ebpf/table.ts';
import type { Counters } from '../../../src/engines/engine.ts';
import { unpackReport } from '../../../src/engines/packed-report.ts';
import { skip } from '../../platform/bpf/lab.ts';
import { tcp80 } from '../../support/table.ts';
import { add, addService, lab, one, remove, sizes, tableOver, two, web6 } from './lab.ts';

/** So many connections more, with one packet each way, on the last CPU and one on the first. */
function traffic(director: LoadedDirector, slot: number, times: number): void {
  const map = director.map('traffic');
  const key = Buffer.from(Uint32Array.of(slot).buffer);
  const value = map.lookupPerCpu(key);
  const words = new BigUint64Array(value.buffer, value.byteOffset, value.length / 8);
  for (const [cpu, more] of [
    [0, 1],
    [words.length / 5 - 1, times - 1],
  ] as const) {
    for (const [field, each] of [1, 1, 1, 60, 5_000_000_000].entries())
      words[5 * cpu + field] = (words[5 * cpu + field] ?? 0n) + BigInt(each * more);
  }
  map.update(key, value);
}

function connections(count: number): Counters {
  const outBytes = 5_000_000_000 * count;
  return { connections: count, inPackets: count, outPackets: count, inBytes: 60 * count, outBytes };
}

/** Connections of all together, each service, and its destinations, oldest first. */
function counted(table: EbpfTable) {
  const { totals, services } = unpackReport(table.report());
  return [
    totals.connections,
    ...services.map(({ counters, destinations }) => [
      counters.connections,
      ...destinations.map(({ counters }) => counters.connections),
    ]),
  ];
}

t.test(
  'traffic of destinations is that of their service too, through every change of the table',
  { skip },
  (t) => {
    const { director, table, pool } = lab();
    table.apply([addService(tcp80), add(tcp80, one), add(tcp80, two), addService(web6)]);
    t.same(counted(table), [0, [0, 0, 0], [0]]);
    traffic(director, 0, 3);
    traffic(director, 1, 4);
    t.same(counted(table), [7, [7, 3, 4], [0]]);
    t.same(unpackReport(table.report()).totals, connections(7));
    t.same(unpackReport(table.report()).services[0]?.destinations[1]?.counters, connections(4));
    traffic(director, 1, 1);
    table.apply([{ verb: 'zero', service: tcp80 }]);
    t.same(counted(table), [8, [0, 0, 0], [0]], 'zeroed for itself');
    traffic(director, 0, 2);
    pool.addActive(0, 1);
    traffic(director, 1, 5);
    table.apply([remove(tcp80, one)]);
    t.same(counted(table), [15, [7, 5], [0]], 'the service keeps what its server did');
    traffic(director, 0, 9);
    t.same(counted(table), [15, [7, 5], [0]], 'packets for a deleted server are nobody’s');
    table.apply([add(tcp80, one)]);
    t.same(counted(table), [15, [7, 5, 2], [0]], 'revived it has its own again');
    traffic(director, 0, 1);
    t.same(counted(table), [16, [8, 5, 3], [0]]);
    t.end();
  },
);

t.test('slots begin anew with every life, the total never does', { skip }, (t) => {
  const { director, table, pool } = lab();
  table.apply([addService(tcp80), add(tcp80, one)]);
  traffic(director, 0, 3);
  pool.addActive(0, 1);
  table.apply([{ verb: 'delete-service', service: tcp80 }]);
  traffic(director, 0, 5);
  t.same(counted(table), [3]);
  table.apply([addService(tcp80), add(tcp80, one)]);
  t.same(unpackReport(table.report()).services[0]?.destinations[0]?.active, 1, 'its connection is back');
  t.same(counted(table), [3, [0, 0]], 'but is not of this service');
  traffic(director, 0, 2);
  pool.addActive(0, -1);
  table.apply([remove(tcp80, one)]);
  for (let i = 0; i < sizes.destinations; i++) table.apply([add(tcp80, two), remove(tcp80, two)]);
  table.apply([add(tcp80, { address: '10.2.0.19', port: 1 })]);
  t.equal(table.nameOf(1), '10.2.0.19:1 of tcp:10.1.0.100:80');
  t.same(counted(table), [5, [2, 0]]);
  table.apply([{ verb: 'zero' }]);
  t.same(counted(table), [0, [0, 0]]);
  t.end();
});

t.test('the next daemon counts on', { skip }, (t) => {
  const { director, table } = lab();
  table.apply([addService(tcp80), add(tcp80, one), add(tcp80, two)]);
  traffic(director, 0, 3);
  traffic(director, 1, 1);
  table.apply([{ verb: 'zero', service: tcp80 }]);
  traffic(director, 0, 4);
  table.apply([remove(tcp80, two)]);
  t.same(counted(table), [8, [4, 4]]);
  traffic(director, 0, 1);
  const next = tableOver(director);
  t.same(counted(next), [9, [5, 5]]);
  traffic(director, 0, 1);
  t.same(counted(next), [10, [6, 6]]);
  t.end();
});
