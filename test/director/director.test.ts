import t from 'tap';
import { Director } from '../../src/director/director.ts';
import type {
  DestinationId,
  DestinationSettings,
  ServiceId,
  ServiceSettings,
} from '../../src/director/table.ts';
import { ipipTunnel } from '../../src/director/table.ts';
import type { RefusalCode, Verb } from '../../src/director/verbs.ts';
import { masq, roundRobin } from '../support/table.ts';

const web: ServiceId = { kind: 'address', protocol: 'tcp', address: '10.0.0.1', port: 80 };
const web6: ServiceId = { kind: 'address', protocol: 'tcp', address: '2001:db8::1', port: 80 };
const settings: ServiceSettings = { ...roundRobin, scheduler: 'wlc' };
const settings6: ServiceSettings = { ...settings, netmask: 128 };
const server = (n: number): DestinationId => ({ address: `192.168.1.${n}`, port: 80 });

function make(): { director: Director; applied: Verb[]; by: string[] } {
  const applied: Verb[] = [];
  const by: string[] = [];
  const director = new Director({
    applied(verb, who) {
      applied.push(verb);
      by.push(who);
    },
    mtu: (name) => (name === 'eth0' ? 1500 : undefined),
  });
  return { director, applied, by };
}

function addServers(director: Director, count: number): void {
  director.apply({ verb: 'add-service', service: web, settings }, 'test');
  for (let n = 1; n <= count; n++) {
    director.apply({ verb: 'add-destination', service: web, destination: server(n), settings: masq }, 'test');
  }
}

function order(director: Director): readonly string[] | undefined {
  return director.find(web)?.destinations.map(({ id, weight }) => `${id.address.slice(10)}w${weight}`);
}

t.test('destinations are newest first, an edit keeps the place, adding again does not', (t) => {
  const { director } = make();
  addServers(director, 3);
  t.same(order(director), ['3w1', '2w1', '1w1']);
  director.apply(
    { verb: 'edit-destination', service: web, destination: server(1), settings: { ...masq, weight: 9 } },
    'test',
  );
  t.same(order(director), ['3w1', '2w1', '1w9']);
  director.apply({ verb: 'delete-destination', service: web, destination: server(2) }, 'test');
  director.apply({ verb: 'add-destination', service: web, destination: server(2), settings: masq }, 'test');
  t.same(order(director), ['2w1', '3w1', '1w9']);
  t.end();
});

t.test('an edit of the service keeps its destinations', (t) => {
  const { director } = make();
  addServers(director, 2);
  director.apply({ verb: 'edit-service', service: web, settings: { ...settings, scheduler: 'rr' } }, 'test');
  t.equal(director.find(web)?.settings.scheduler, 'rr');
  t.same(order(director), ['2w1', '1w1']);
  t.end();
});

t.test('what a reader holds does not change under it', (t) => {
  const { director } = make();
  addServers(director, 1);
  const before = director.find(web);
  t.equal(director.find(web), before, 'the same object while nothing changes');
  director.apply({ verb: 'delete-destination', service: web, destination: server(1) }, 'test');
  t.equal(before?.destinations.length, 1);
  t.same(order(director), []);
  t.end();
});

t.test('a verb goes on to the engine only when it was applied, with who said it', (t) => {
  const { director, applied, by } = make();
  director.apply({ verb: 'add-service', service: web, settings }, 'monitor');
  t.throws(() => {
    director.apply({ verb: 'add-service', service: web, settings }, 'control');
  });
  director.apply({ verb: 'flush' }, 'control');
  t.same(
    applied.map(({ verb }) => verb),
    ['add-service', 'flush'],
  );
  t.same(by, ['monitor', 'control']);
  t.same(director.services(), []);
  t.end();
});

t.test('refuses with the error numbers of the kernel and leaves the table as it was', (t) => {
  const add = (
    destination: DestinationId,
    change: Partial<DestinationSettings> = {},
    service = web,
  ): Verb => ({
    verb: 'add-destination',
    service,
    destination,
    settings: { ...masq, ...change },
  });
  const at = (address: string): DestinationId => ({ address, port: 80 });
  const other: ServiceId = { ...web, port: 81 };
  const refusals: readonly (readonly [RefusalCode, string, Verb])[] = [
    ['EEXIST', 'a service twice', { verb: 'add-service', service: web, settings }],
    [
      'ENOENT',
      'scheduler',
      { verb: 'add-service', service: other, settings: { ...settings, scheduler: 'x' } },
    ],
    [
      'ENOENT',
      'pe',
      { verb: 'add-service', service: other, settings: { ...settings, persistenceEngine: 'x' } },
    ],
    ['EINVAL', 'IPv6 mask', { verb: 'add-service', service: { ...web6, port: 1 }, settings }],
    [
      'EINVAL',
      'mark 0',
      { verb: 'add-service', service: { kind: 'fwmark', mark: 0, family: 'inet' }, settings },
    ],
    ['ESRCH', 'edit of no service', { verb: 'edit-service', service: other, settings }],
    ['ESRCH', 'delete of no service', { verb: 'delete-service', service: other }],
    ['ESRCH', 'zero of no service', { verb: 'zero', service: other }],
    ['ESRCH', 'a destination of no service', add(server(1), {}, other)],
    ['EEXIST', 'a destination twice', add(server(1))],
    ['ENOENT', 'edit of no destination', { ...add(server(9)), verb: 'edit-destination' } as Verb],
    [
      'ENOENT',
      'delete of no destination',
      { verb: 'delete-destination', service: web, destination: server(9) },
    ],
    ['ERANGE', 'lower above upper', add(server(9), { upperThreshold: 5, lowerThreshold: 6 })],
    ['ERANGE', 'lower without upper', add(server(9), { lowerThreshold: 6 })],
    ['ERANGE', 'before looking whether it is there', add(server(1), { lowerThreshold: 6 })],
    ['EINVAL', 'multicast', add(at('224.0.0.1'))],
    ['EINVAL', 'any', add(at('0.0.0.0'))],
    ['EINVAL', 'broadcast', add(at('255.255.255.255'))],
    ['EINVAL', 'link-local', add(at('fe80::1'), {}, web6)],
    ['EINVAL', 'IPv6 any', add(at('::'), {}, web6)],
    ['EINVAL', 'mapped IPv4', add(at('::ffff:1.2.3.4'), {}, web6)],
    ['EINVAL', 'another family without a tunnel', add(at('10.0.0.9'), {}, web6)],
    [
      'EINVAL',
      'gue without a port',
      add(server(9), { forwarding: 'ipip', tunnel: { ...ipipTunnel, type: 'gue' } }),
    ],
  ];
  const { director, applied } = make();
  addServers(director, 1);
  director.apply({ verb: 'add-service', service: web6, settings: settings6 }, 'test');
  const table = JSON.stringify(director.services());
  const before = applied.length;
  for (const [code, what, verb] of refusals) {
    t.throws(
      () => {
        director.apply(verb, 'test');
      },
      { name: 'DirectorError', code },
      what,
    );
  }
  t.equal(JSON.stringify(director.services()), table);
  t.equal(applied.length, before);
  director.apply(add(at('240.0.0.1')), 'test');
  t.pass('240.0.0.1 is an address like any other');
  t.end();
});

t.test('timeouts of 0 keep the present value', (t) => {
  const { director } = make();
  director.apply({ verb: 'set-timeouts', timeouts: { tcp: 0, tcpFin: 20, udp: 0 } }, 'test');
  t.same(director.timeouts(), { tcp: 900, tcpFin: 20, udp: 300 });
  t.end();
});

t.test('mixed-family tunnels and sync daemons exclude each other', (t) => {
  const { director } = make();
  const start: Verb = {
    verb: 'start-daemon',
    daemon: {
      role: 'backup',
      interface: 'eth0',
      syncId: 1,
      maxLength: 0,
      group: 'ff02::1',
      port: 8848,
      ttl: 1,
    },
  };
  const mixed: Verb = {
    verb: 'add-destination',
    service: web6,
    destination: { address: '10.0.0.9', port: 80 },
    settings: { ...masq, forwarding: 'ipip' },
  };
  director.apply({ verb: 'add-service', service: web6, settings: settings6 }, 'test');
  director.apply(mixed, 'test');
  t.throws(
    () => {
      director.apply(start, 'test');
    },
    { code: 'EINVAL' },
  );
  director.apply({ verb: 'delete-service', service: web6 }, 'test');
  director.apply(start, 'test');
  t.equal(director.syncDaemons()[0]?.maxLength, 1452, 'what an MTU of 1500 leaves under IPv6 and UDP');
  director.apply({ verb: 'add-service', service: web6, settings: settings6 }, 'test');
  t.throws(
    () => {
      director.apply(mixed, 'test');
    },
    { code: 'EINVAL' },
  );
  t.end();
});

t.test('10,000 services of 4 destinations: an edit costs what it costs with one', (t) => {
  const { director } = make();
  const service = (n: number): ServiceId => ({
    kind: 'address',
    protocol: 'tcp',
    address: `10.${n >> 8}.${n & 0xff}.1`,
    port: 80,
  });
  const started = performance.now();
  for (let n = 0; n < 10_000; n++) {
    director.apply({ verb: 'add-service', service: service(n), settings }, 'test');
    for (let i = 1; i <= 4; i++) {
      director.apply(
        { verb: 'add-destination', service: service(n), destination: server(i), settings: masq },
        'test',
      );
    }
  }
  for (let n = 0; n < 10_000; n++) {
    director.apply(
      {
        verb: 'edit-destination',
        service: service(n),
        destination: server(2),
        settings: { ...masq, weight: 0 },
      },
      'test',
    );
  }
  t.equal(director.services().length, 10_000);
  t.equal(director.find(service(9999))?.destinations[2]?.weight, 0);
  t.ok(performance.now() - started < 5000, 'far from quadratic');
  t.end();
});
