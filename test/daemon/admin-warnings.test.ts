import t from 'tap';
import { AdminWarnings } from '../../src/daemon/admin-warnings.ts';
import { Director } from '../../src/director/director.ts';
import type { ServiceId } from '../../src/director/table.ts';
import type { Verb } from '../../src/director/verbs.ts';
import { refusal } from '../../src/engines/relay/refusal.ts';
import { FakeClock } from '../monitor/fake-clock.ts';
import { masq, roundRobin, tcp80 } from '../support/table.ts';

/** A director with the relay engine, and what is said in its log. */
function lab() {
  const clock = new FakeClock();
  const said: string[] = [];
  const director = new Director({
    applied: (verb) => {
      warnings.applied(verb);
    },
    mtu: () => 1500,
  });
  const warnings = new AdminWarnings({
    director,
    engine: { refuses: refusal },
    clock,
    warn: (message) => said.push(message),
  });
  const log = async (...verbs: readonly Verb[]): Promise<readonly string[]> => {
    for (const verb of verbs) director.apply(verb, 'control');
    await clock.advance(1000);
    return said.splice(0);
  };
  return { log, clock };
}

const sctp: ServiceId = { ...tcp80, protocol: 'sctp' };
const gate = { ...masq, forwarding: 'gate' } as const;

function add(service: ServiceId): Verb {
  return { verb: 'add-service', service, settings: roundRobin };
}

function addServer(service: ServiceId, number: number, settings: typeof masq = masq): Verb {
  return {
    verb: 'add-destination',
    service,
    destination: { address: `10.2.0.${number}`, port: 80 },
    settings,
  };
}

void t.test('what the engine will not do is said once, when it is asked for', async (t) => {
  const { log } = lab();
  t.same(await log(add(tcp80), addServer(tcp80, 11)), [], 'nothing of what it does');
  const refused = await log(add(sctp), addServer(sctp, 11));
  t.match(refused, [/^sctp:10\.1\.0\.100:80: .* no engine of this version forwards sctp$/]);
  t.equal(refused.length, 1);
  t.same(await log(addServer(sctp, 12)), [], 'not again');
  await log({ verb: 'delete-service', service: sctp });
  t.match(await log(add(sctp)), [/sctp/], 'unless it comes back later');
});

void t.test('a restored table is a line a reason', async (t) => {
  const { log } = lab();
  const services = Array.from({ length: 30 }, (_, i): ServiceId => ({ ...tcp80, port: 1000 + i }));
  const verbs = services.flatMap((service) => [
    add(service),
    addServer(service, 11, gate),
    addServer(service, 12, gate),
  ]);
  const lines = await log(...verbs, add(sctp));
  t.match(lines, [
    /^10\.2\.0\.1[12]:80 of tcp:10\.1\.0\.100:1000: .*direct routing \(gate\).*; the same for 29 more$/,
    /^sctp:/,
  ]);
  t.equal(lines.length, 2);
  const [service = tcp80] = services;
  const destination = { address: '10.2.0.11', port: 80 };
  t.same(await log({ verb: 'edit-destination', service, destination, settings: gate }), []);
  await log(...[11, 12].map((n): Verb => ({ ...addServer(service, n), verb: 'edit-destination' }) as Verb));
  t.match(
    await log({ verb: 'edit-destination', service, destination, settings: gate }),
    [/gate/],
    'mended, and broken anew',
  );
});

void t.test('what is gone before anybody could read of it is not said', async (t) => {
  const { log, clock } = lab();
  t.same(await log(add(sctp), { verb: 'delete-service', service: sctp }), []);
  t.same(await log(add(sctp), { verb: 'flush' }), []);
  t.equal(clock.timers, 0);
});

void t.test('sync daemons: said once', async (t) => {
  const { log } = lab();
  const start = (role: 'master' | 'backup'): Verb => ({
    verb: 'start-daemon',
    daemon: { role, interface: 'eth0', syncId: 0, maxLength: 0, group: '224.0.0.81', port: 8848, ttl: 1 },
  });
  t.match(await log(start('master')), [/^start-daemon: .*does not synchronise connections yet$/]);
  t.same(await log({ verb: 'stop-daemon', role: 'master' }, start('master'), start('backup')), []);
});
