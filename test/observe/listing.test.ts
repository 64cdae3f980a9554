import t from 'tap';
import type { Destination, ServiceId, VirtualService } from '../../src/director/table.ts';
import type { Counters, EngineReport } from '../../src/engines/engine.ts';
import { zeroCounters } from '../../src/engines/engine.ts';
import { listServices } from '../../src/observe/listing.ts';
import { masq, roundRobin } from '../support/table.ts';

const web: ServiceId = { kind: 'address', protocol: 'tcp', address: '10.0.0.1', port: 80 };
const server = (address: string, port = 80): Destination => ({
  id: { address, port },
  ...masq,
});
const counters = (connections: number): Counters => ({
  connections,
  inPackets: connections * 6,
  outPackets: connections * 5,
  inBytes: connections * 325,
  outBytes: connections * 277,
});
const report = (connections: number): EngineReport => ({
  totals: counters(connections),
  services: [
    {
      id: web,
      counters: counters(connections),
      destinations: [
        { id: server('10.2.0.1').id, counters: counters(connections), active: 2, inactive: 3, persistent: 1 },
      ],
    },
  ],
});

t.test('the table and what the engine counted come together; what it does not know is 0', (t) => {
  const table: VirtualService[] = [
    { id: web, settings: roundRobin, destinations: [server('10.2.0.2'), server('10.2.0.1')] },
    { id: { kind: 'fwmark', mark: 7, family: 'inet' }, settings: roundRobin, destinations: [] },
  ];
  const [first, second] = listServices(table, report(20), { rates: () => counters(1) });
  t.same(first?.counters, counters(20));
  t.same(first?.rates, counters(1));
  t.match(first?.destinations, [
    { id: { address: '10.2.0.2' }, active: 0, counters: zeroCounters },
    { id: { address: '10.2.0.1' }, active: 2, inactive: 3, persistent: 1, counters: counters(20) },
  ]);
  t.same(second?.counters, zeroCounters);
  t.end();
});
