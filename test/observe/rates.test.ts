import t from 'tap';
import type { ServiceId } from '../../src/director/table.ts';
import type { Counters, EngineReport } from '../../src/engines/engine.ts';
import { zeroCounters } from '../../src/engines/engine.ts';
import { RateEstimator } from '../../src/observe/rates.ts';

const web: ServiceId = { kind: 'address', protocol: 'tcp', address: '10.1.0.100', port: 80 };
const dns: ServiceId = { ...web, port: 53 };
const server = { address: '10.2.0.11', port: 80 };
const second = 1000;

function counters(connections: number, inPackets = 0, outPackets = 0, inBytes = 0, outBytes = 0): Counters {
  return { connections, inPackets, outPackets, inBytes, outBytes };
}

/** One service with one server that did it all. */
function report(of: Counters, ids: readonly ServiceId[] = [web]): EngineReport {
  const destinations = [{ id: server, counters: of, active: 0, inactive: 0, persistent: 0 }];
  return { services: ids.map((id) => ({ id, counters: of, destinations })), totals: of };
}

t.test('the first sample of a service shows what it did since it is there', (t) => {
  const estimator = new RateEstimator();
  // Twenty requests, as Linux showed them 2.3 seconds later; and eight, of another recording.
  estimator.sample(report(counters(20, 120, 100, 6500, 5540)), 2 * second);
  for (const rates of [estimator.rates(web), estimator.rates(web, server), estimator.totals()]) {
    t.same(rates, counters(2, 15, 12, 812, 692));
  }
  const both = report(counters(20, 120, 100, 6500, 5540));
  const eight = report(counters(8, 40, 25, 2144, 1396), [dns]);
  estimator.sample({ ...both, services: [...both.services, ...eight.services] }, 4 * second);
  t.same(estimator.rates(dns), counters(1, 5, 3, 268, 174));
  t.same(estimator.rates({ ...web, port: 81 }), zeroCounters, 'what nobody knows does nothing');
  t.end();
});

t.test('150 MB, the rates of Linux to the digit', (t) => {
  const estimator = new RateEstimator();
  // The connection began just before a sample was taken.
  estimator.sample(report(counters(1, 32, 7, 46_752, 372)), 2 * second);
  const done = report(counters(1, 3973, 2368, 150_206_604, 123_340));
  estimator.sample(done, 4 * second);
  t.same(estimator.rates(web), counters(0, 496, 296, 18_774_364, 15_406));
  estimator.sample(done, 6 * second);
  t.same(estimator.rates(web), counters(0, 372, 222, 14_080_773, 11_554));
  t.same(estimator.totals(), counters(0, 372, 222, 14_080_773, 11_554));
  t.end();
});

t.test('a rate is reached and fades', (t) => {
  const estimator = new RateEstimator();
  const seen = [800, 1600, 2400, 2400, 2400].map((total, i) => {
    estimator.sample(report(counters(total)), 2 * second * (i + 1));
    return estimator.rates(web).connections;
  });
  t.same(seen, [100, 175, 231, 173, 130]);
  for (let i = 0; i < 40; i++) estimator.sample(report(counters(2400)), 2 * second * (i + 6));
  t.equal(estimator.rates(web).connections, 0, 'to nothing');
  t.end();
});

t.test('more than 32 bits', (t) => {
  const estimator = new RateEstimator();
  const seen = 8 * 12_500_000_001;
  estimator.sample(report(counters(0, seen, 0, seen)), 2 * second);
  t.equal(estimator.rates(web).inBytes, 12_500_000_001, '100 Gbit/s');
  t.equal(estimator.rates(web).inPackets, 12_500_000_001);
  t.end();
});

t.test('a late sample spreads what it saw, a hair of lateness changes nothing', (t) => {
  const [late, almost] = [new RateEstimator(), new RateEstimator()];
  for (const estimator of [late, almost]) estimator.sample(report(zeroCounters), 0);
  late.sample(report(counters(4000)), 10 * second);
  t.equal(late.rates(web).connections, 100, '400 a second');
  almost.sample(report(counters(800)), 2 * second + 7);
  t.equal(almost.rates(web).connections, 100);
  t.end();
});

t.test('a server that comes back to its old connections has not done all that at once', (t) => {
  const estimator = new RateEstimator();
  const done = (service: number, server?: number): EngineReport => {
    const [all] = report(counters(service)).services;
    const [own] = report(counters(server ?? 0)).services;
    if (all === undefined || own === undefined) throw new Error('there is one service');
    const destinations = server === undefined ? [] : own.destinations;
    return { services: [{ ...all, destinations }], totals: all.counters };
  };
  estimator.sample(done(80_000, 80_000), 2 * second);
  estimator.sample(done(80_000), 4 * second);
  estimator.sample(done(80_800, 80_800), 6 * second);
  t.equal(estimator.rates(web, server).connections, 100);
  estimator.sample(done(80_800, 80_800), 8 * second);
  t.equal(estimator.rates(web, server).connections, 75);
  t.end();
});

t.test('zeroed counters give rates of 0, not negative ones', (t) => {
  const estimator = new RateEstimator();
  estimator.sample(report(counters(800), [web, dns]), 2 * second);
  estimator.zero(web);
  t.same([estimator.rates(web), estimator.rates(web, server)], [zeroCounters, zeroCounters]);
  t.equal(estimator.rates(dns).connections, 100, 'the neighbour keeps its own');
  t.equal(estimator.totals().connections, 100, 'and so does the whole');
  estimator.sample(report(counters(800)), 4 * second);
  t.equal(estimator.rates(web).connections, 100, 'what is counted since is counted');
  estimator.sample(report(counters(8)), 6 * second);
  t.equal(estimator.rates(web).connections, 76, 'an engine that was restarted counts from 0');
  estimator.zero();
  t.same([estimator.rates(web), estimator.totals()], [zeroCounters, zeroCounters]);
  t.end();
});
