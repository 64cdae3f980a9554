import t from 'tap';
import type { Destination, ServiceId, VirtualService } from '../../src/director/table.ts';
import type { Counters, EngineReport } from '../../src/engines/engine.ts';
import { zeroCounters } from '../../src/engines/engine.ts';
import { listServices } from '../../src/observe/listing.ts';
import { RateEstimator } from '../../src/observe/rates.ts';
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

t.test('rates go a quarter of the way to what two seconds saw, and fade', (t) => {
  const estimator = new RateEstimator();
  estimator.sample(report(0), 0);
  t.equal(estimator.rates(web).connections, 0);
  const seen: number[] = [];
  for (const [i, total] of [800, 1600, 2400, 2400, 2400].entries()) {
    estimator.sample(report(total), (i + 1) * 2000);
    seen.push(estimator.rates(web).connections);
  }
  // 400 a second: 100, 100 + 300/4, ...
  t.same(seen, [100, 175, 231, 173, 130]);
  t.equal(estimator.rates(web, { address: '10.2.0.1', port: 80 }).inPackets, 780);
  t.end();
});

t.test('zeroed counters give rates of 0, not negative ones', (t) => {
  const other: ServiceId = { ...web, port: 8080 };
  const both = (n: number): EngineReport => ({
    services: [...report(n).services, { id: other, counters: counters(n), destinations: [] }],
  });
  const estimator = new RateEstimator();
  estimator.sample(both(0), 0);
  estimator.sample(both(800), 2000);
  estimator.zero(web);
  t.equal(estimator.rates(web).connections, 0);
  t.equal(estimator.rates(web, { address: '10.2.0.1', port: 80 }).connections, 0);
  t.equal(estimator.rates(other).connections, 100, 'the neighbour keeps its own');
  estimator.sample(report(0), 4000);
  t.equal(estimator.rates(web).connections, 0);
  estimator.sample(report(5000), 6000);
  estimator.sample(report(8), 8000);
  t.ok(estimator.rates(web).connections > 0, 'an engine that was restarted counts from 0');
  estimator.zero();
  t.same(estimator.rates(web), zeroCounters);
  t.end();
});
