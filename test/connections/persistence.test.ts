/** Persistence as a real kernel does it: who comes back to the same server, and for how long. */
import t from 'tap';
import { ConnectionKey } from '../../src/connections/connection-key.ts';
import { ConnectionTable, NO_SLOT } from '../../src/connections/connection-table.ts';
import type { PersistenceOptions, PersistentService } from '../../src/connections/persistence.ts';
import { INVALID_PORT, PersistenceTable } from '../../src/connections/persistence.ts';
import { TCP, UDP } from '../../src/connections/protocols.ts';
import { TcpState } from '../../src/connections/tcp-states.ts';
import { ConnectionTimeouts } from '../../src/connections/timeouts.ts';
import { Pool } from '../../src/scheduling/pool.ts';

const plain: PersistentService = { timeout: 60, netmask: -1, mark: 0, everyPort: false };
const VIP = '10.1.0.100';

function lab(extra: Partial<PersistenceOptions> = {}) {
  const pool = Pool.create({ services: 1, destinations: 2 });
  const server = pool.addDestination(pool.addService(1, 0), '10.2.0.11', 80);
  const weigh = (weight: number) => {
    pool.setDestination(server, { weight, upper: 1, lower: 0, barred: false });
  };
  weigh(1);
  const timeouts = new ConnectionTimeouts();
  const persistence = new PersistenceTable(pool, { seed: 1, timeouts, now: 0, ...extra });
  const connections = new ConnectionTable(pool, { seed: 2, timeouts, now: 0, templates: persistence });
  const key = new ConnectionKey();
  const from = (client: string, virtualPort = 80, protocol: number = TCP) =>
    key.set(protocol, client, 50001, client.includes(':') ? '2001:db8::100' : VIP, virtualPort);
  return { pool, server, weigh, persistence, connections, from };
}

void t.test('a client comes back to its server, another client does not', (t) => {
  const { pool, server, persistence, from } = lab();
  t.equal(persistence.find(from('10.1.0.2'), plain), NO_SLOT);
  const template = persistence.insert(from('10.1.0.2'), plain, server, 0);
  t.equal(pool.persistent(server), 1);
  t.equal(pool.active(server) + pool.inactive(server), 0, 'templates are not connections');
  t.equal(persistence.find(from('10.1.0.2'), plain), template);
  t.equal(persistence.destination(template), server);
  t.equal(persistence.find(from('10.1.0.3'), plain), NO_SLOT);
  t.equal(persistence.find(from('10.1.0.2', 443), plain), NO_SLOT, 'another service');
  const read = new ConnectionKey();
  persistence.table.key(template, read);
  t.same([read.clientAddress(), read.clientPort, read.virtualPort], ['10.1.0.2', 0, 80], 'as it is listed');
  persistence.advance(59_000);
  t.equal(persistence.find(from('10.1.0.2'), plain), template);
  persistence.advance(61_000);
  t.equal(persistence.find(from('10.1.0.2'), plain), NO_SLOT);
  t.equal(pool.persistent(server), 0);
  t.end();
});

void t.test('netmask: the client network comes back', (t) => {
  const { server, persistence, from } = lab();
  const network = { ...plain, netmask: 0xffffff00 };
  const template = persistence.insert(from('10.1.0.2'), network, server, 0);
  t.equal(persistence.find(from('10.1.0.254'), network), template);
  t.equal(persistence.find(from('10.1.1.2'), network), NO_SLOT);
  for (const [netmask, near, far] of [
    [48, '2001:db8:1:ffff::1', '2001:db8:2::2'],
    [127, '2001:db8:1::3', '2001:db8:1::4'],
    [128, '2001:db8:1::2', '2001:db8:1::3'],
  ] as const) {
    const v6 = { ...plain, netmask };
    const template = persistence.insert(from('2001:db8:1::2', netmask), v6, server, 0);
    t.equal(persistence.find(from(near, netmask), v6), template, `/${netmask}`);
    t.equal(persistence.find(from(far, netmask), v6), NO_SLOT, `/${netmask}`);
  }
  t.end();
});

void t.test('services of every port and of a firewall mark share one template', (t) => {
  const { server, persistence, from } = lab();
  const everyPort = { ...plain, everyPort: true };
  const template = persistence.insert(from('10.1.0.2', 80), everyPort, server, 0);
  t.equal(persistence.find(from('10.1.0.2', 443), everyPort), template);
  t.equal(persistence.find(from('10.1.0.2', 443, UDP), everyPort), NO_SLOT, 'of one protocol');
  const marked = { ...plain, mark: 7 };
  const other = persistence.insert(from('10.1.0.2', 80), marked, server, 0);
  t.equal(persistence.find(from('10.1.0.2', 53, UDP), marked), other, 'of all protocols');
  t.equal(persistence.find(from('10.1.0.2', 80), { ...plain, mark: 8 }), NO_SLOT);
  const read = new ConnectionKey();
  persistence.table.key(other, read);
  t.same([read.protocol, read.virtualAddress(), read.virtualPort], [0, '0.0.0.7', 0]);
  t.end();
});

void t.test('a template lives on, a minute at a time, while connections refer to it', (t) => {
  const { server, persistence, connections, from } = lab();
  const short = { ...plain, timeout: 3 };
  const template = persistence.insert(from('10.1.0.2'), short, server, 0);
  const connection = connections.insert(from('10.1.0.2'), server, 0);
  connections.setTemplate(connection, template);
  persistence.restart(template, 0);
  t.equal(persistence.stateName(template), 'NONE');
  connections.setState(connection, TcpState.established, 0);
  t.equal(persistence.stateName(template), 'ASSURED');
  persistence.advance(3_000);
  t.equal(persistence.table.expires(template, 4_500), 58);
  connections.remove(connection);
  t.equal(persistence.controlled(template), 0);
  persistence.advance(62_000);
  t.equal(persistence.table.size, 1);
  persistence.advance(64_000);
  t.equal(persistence.table.size, 0);
  t.end();
});

void t.test('expiry of a connection lets go of its template', (t) => {
  const { server, persistence, connections, from } = lab();
  const template = persistence.insert(from('10.1.0.2'), plain, server, 0);
  connections.setTemplate(connections.insert(from('10.1.0.2', 53, UDP), server, 0), template);
  t.equal(persistence.stateName(template), 'ASSURED', 'UDP has nothing to wait for');
  t.equal(persistence.controlled(template), 1);
  connections.advance(301_000, () => 0);
  t.equal(persistence.controlled(template), 0);
  t.end();
});

void t.test('a quiescent or overloaded server keeps its clients', (t) => {
  const { pool, server, weigh, persistence, from } = lab();
  const template = persistence.insert(from('10.1.0.2'), plain, server, 0);
  pool.addActive(server, 1);
  t.notOk(pool.usable(server));
  t.equal(persistence.find(from('10.1.0.2'), plain), template);
  weigh(0);
  t.equal(persistence.find(from('10.1.0.2'), plain), template);
  t.end();
});

void t.test('a deleted server loses them, a quiescent one with expire_quiescent_template', (t) => {
  for (const [options, lose] of [
    [
      {},
      ({ pool, server }: ReturnType<typeof lab>) => {
        pool.unlink(server);
      },
    ],
    [
      { expireQuiescent: true },
      ({ weigh }: ReturnType<typeof lab>) => {
        weigh(0);
      },
    ],
  ] as const) {
    const it = lab(options);
    const { pool, server, persistence, from } = it;
    const template = persistence.insert(from('10.1.0.2'), plain, server, 0);
    t.equal(persistence.find(from('10.1.0.2'), plain), template);
    lose(it);
    t.equal(persistence.find(from('10.1.0.2'), plain), NO_SLOT);
    const read = new ConnectionKey();
    persistence.table.key(template, read);
    t.equal(read.virtualPort, INVALID_PORT, 'it is listed as invalid until it expires');
    t.equal(pool.persistent(server), 1);
    t.not(persistence.insert(from('10.1.0.2'), plain, server, 0), template, 'and a new one takes its place');
    persistence.advance(61_000);
    t.equal(pool.persistent(server), 0);
  }
  t.end();
});

void t.test(
  'a flood of made-up clients leaves a bounded number of templates, and those of real ones',
  (t) => {
    const pool = Pool.create({ services: 1, destinations: 1 });
    const server = pool.addDestination(pool.addService(1, 0), '10.2.0.11', 80);
    const timeouts = new ConnectionTimeouts();
    const common = { timeouts, now: 0, halfOpen: 8 };
    const persistence = new PersistenceTable(pool, { ...common, seed: 1 });
    const connections = new ConnectionTable(pool, {
      ...common,
      seed: 2,
      templates: persistence,
      twoWay: true,
    });
    const key = new ConnectionKey();
    const open = (client: string, protocol: number = TCP) => {
      key.set(protocol, client, 50001, VIP, 80);
      const known = persistence.find(key, plain);
      const template = known === NO_SLOT ? persistence.insert(key, plain, server, 0) : known;
      const slot = connections.insert(key, server, 0);
      connections.setTemplate(slot, template);
      return { slot, template };
    };
    const real = open('10.1.0.2');
    connections.setState(real.slot, TcpState.established, 0);
    const flow = open('10.1.0.3', UDP);
    connections.confirm(flow.slot);
    connections.expire(real.slot);
    connections.expire(flow.slot);
    const made = Array.from({ length: 2000 }, (_, i) => ({
      client: `10.9.${i >> 8}.${i & 255}`,
      protocol: i % 3 === 0 ? UDP : TCP,
    }));
    const opened = made.map(({ client, protocol }) => open(client, protocol));
    t.equal(connections.size, 8);
    t.ok(
      pool.persistent(server) <= 8 + 8 + 2,
      'of the half-open ones, as many more, and of those who were there',
    );
    t.equal(persistence.find(key.set(TCP, '10.1.0.2', 50002, VIP, 80), plain), real.template);
    t.equal(persistence.find(key.set(UDP, '10.1.0.3', 50002, VIP, 80), plain), flow.template);
    const template = (client: string, protocol: number) =>
      persistence.table.find(key.set(protocol, client, 0, VIP, 80));
    const oldest = made.find(({ client, protocol }) => template(client, protocol) !== NO_SLOT);
    if (oldest === undefined) throw new Error('no template is left');
    const kept = template(oldest.client, oldest.protocol);
    connections.expire(opened.at(-1)?.slot ?? NO_SLOT);
    open('10.1.0.2');
    t.equal(open(oldest.client, oldest.protocol).template, kept, 'found again');
    t.equal(template(oldest.client, oldest.protocol), kept, 'and not evicted by the connection made from it');
    t.equal(persistence.controlled(kept), 1);
    t.end();
  },
);
