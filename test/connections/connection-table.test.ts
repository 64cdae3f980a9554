/** The connection table: keys, counts, timers with a clock of our own, replies, floods, and its size with a million connections. */
import t from 'tap';
import { ConnectionKey } from '../../src/connections/connection-key.ts';
import { ConnectionTable, NO_SLOT } from '../../src/connections/connection-table.ts';
import type { ConnectionTableOptions } from '../../src/connections/connection-table.ts';
import { TCP, UDP } from '../../src/connections/protocols.ts';
import { TcpState } from '../../src/connections/tcp-states.ts';
import { ConnectionTimeouts } from '../../src/connections/timeouts.ts';
import { Pool } from '../../src/scheduling/pool.ts';

/** A pool with two destinations and an empty table; time starts at `now` milliseconds. */
function lab(options: Partial<ConnectionTableOptions> = {}) {
  const pool = Pool.create({ services: 1, destinations: 4 });
  const service = pool.addService(1, 0);
  const servers = ['10.2.0.11', '10.2.0.12'].map((address) => pool.addDestination(service, address, 80));
  const timeouts = new ConnectionTimeouts();
  const table = new ConnectionTable(pool, { seed: 0x5eed, timeouts, now: 0, ...options });
  const counts = () => servers.map((server) => `${pool.active(server)}/${pool.inactive(server)}`);
  const [first = 0, second = 0] = servers;
  return { pool, service, first, second, timeouts, table, counts };
}

const key = new ConnectionKey();
const tcp = (port: number, client = '10.1.0.2') => key.set(TCP, client, port, '10.1.0.100', 80);
const remove = () => 0;

void t.test('a connection is found by each part of its key and by nothing else', (t) => {
  const { table, service, second } = lab();
  const variants: (() => ConnectionKey)[] = [
    () => key.set(TCP, '10.1.0.2', 50001, '10.1.0.100', 80),
    () => key.set(UDP, '10.1.0.2', 50001, '10.1.0.100', 80),
    () => key.set(TCP, '10.1.0.3', 50001, '10.1.0.100', 80),
    () => key.set(TCP, '10.1.0.2', 50002, '10.1.0.100', 80),
    () => key.set(TCP, '10.1.0.2', 50001, '10.1.0.101', 80),
    () => key.set(TCP, '10.1.0.2', 50001, '10.1.0.100', 65535),
    () => key.set(TCP, '2001:db8::2', 50001, '2001:db8::100', 80),
    () => key.set(TCP, '2001:db8:0:1::2', 50001, '2001:db8::100', 80),
    () => key.set(TCP, '2001:db8::2', 50001, '2001:db8:0:0:1::100', 80),
  ];
  variants.forEach((variant, at) => {
    t.equal(table.find(variant()), NO_SLOT);
    table.setUser(table.insert(key, second, 0), 1, at);
  });
  const read = new ConnectionKey();
  variants.forEach((variant, at) => {
    const slot = table.find(variant());
    t.equal(table.user(slot, 1), at);
    t.same(
      [table.destination(slot), table.service(slot), table.protocol(slot)],
      [second, service, key.protocol],
    );
    table.setState(slot, TcpState.synRecv, 0);
    table.setFlags(slot, 0xffff);
    table.key(slot, read);
    t.same(
      [read.protocol, read.clientAddress(), read.clientPort, read.virtualAddress(), read.virtualPort],
      [key.protocol, key.clientAddress(), key.clientPort, key.virtualAddress(), key.virtualPort],
    );
    t.same([table.state(slot), table.flags(slot)], [TcpState.synRecv, 0xffff]);
  });
  key.set(TCP, '10.1.0.2', 50001, '10.1.0.100', 80).client.fill(7, 1);
  t.not(table.find(key), NO_SLOT, 'what is left in the unused words of an IPv4 address is ignored');
  t.end();
});

void t.test('counts follow every connection from its first moment to its last', (t) => {
  const { table, first, second, counts } = lab();
  const slot = table.insert(tcp(1), first, 0);
  t.same(counts(), ['0/1', '0/0'], 'new');
  table.setState(slot, TcpState.synRecv, 0);
  table.setState(slot, TcpState.established, 0);
  t.same(counts(), ['1/0', '0/0']);
  table.setState(slot, TcpState.finWait, 0);
  t.same(counts(), ['0/1', '0/0']);
  const flow = table.insert(key.set(UDP, '10.1.0.2', 1, '10.1.0.100', 53), second, 0);
  table.setState(flow, 1, 0);
  t.same(counts(), ['0/1', '0/1'], 'a UDP flow is inactive whatever its state');
  table.remove(slot);
  t.same(counts(), ['0/0', '0/1']);
  t.throws(
    () => {
      table.remove(slot);
    },
    RangeError,
    'no connection is removed twice',
  );
  table.advance(301_000, remove);
  t.same(counts(), ['0/0', '0/0'], 'expired');
  t.end();
});

void t.test('an idle connection expires after the timeout of its state, never early', (t) => {
  for (const start of [0, 999, 1_700_000_000_123.5]) {
    const { table, first } = lab({ now: start });
    const slot = table.insert(tcp(1), first, start);
    const left = (now: number) => {
      table.advance(start + now, remove);
      return table.size === 1 ? table.expires(slot, start + now) : 'gone';
    };
    t.equal(left(2_900), 0, 'three seconds for the first state');
    table.setState(slot, TcpState.established, start + 2_900);
    t.equal(left(2_900), 900);
    t.equal(left(3_000), 899, 'as ipvsadm shows it: 14:59');
    t.equal(left(800_000), 102);
    table.touch(slot, start + 800_000);
    t.equal(left(920_000), 780, 'every packet restarts it');
    table.setState(slot, TcpState.close, start + 920_000);
    t.equal(left(929_999), 0, 'a shorter timeout counts at once');
    t.equal(left(931_000), 'gone');
  }
  t.end();
});

void t.test('changed timeouts count from the next packet on', (t) => {
  const { table, first, timeouts } = lab();
  const slot = table.insert(tcp(1), first, 0);
  table.setState(slot, TcpState.established, 0);
  timeouts.set({ tcp: 20, tcpFin: 0, udp: 0 });
  t.equal(table.expires(slot, 0), 900);
  table.touch(slot, 1_000);
  t.equal(table.expires(slot, 1_000), 20);
  table.advance(22_000, remove);
  t.equal(table.size, 0);
  t.end();
});

void t.test('timeouts longer than the wheel, and pauses longer than the timeouts', (t) => {
  const { table, first } = lab();
  const days = table.insert(tcp(1), first, 0);
  table.setTimeout(days, 200_000, 0);
  const minutes = table.insert(tcp(2), first, 0);
  table.setState(minutes, TcpState.established, 0);
  for (let now = 0; now < 199_999_000; now += 1_777_000) table.advance(now, remove);
  t.equal(table.find(tcp(1)), days);
  t.equal(table.find(tcp(2)), NO_SLOT);
  table.advance(199_999_999, remove);
  t.equal(table.size, 1);
  table.advance(3_000_000_000, remove);
  t.equal(table.size, 0);
  table.advance(2_000_000_000, remove);
  const late = table.insert(tcp(3), first, 3_000_000_000);
  table.setTimeout(late, 5, 3_000_000_000);
  table.advance(3_000_004_999, remove);
  t.equal(table.size, 1, 'a clock that went back did no harm');
  table.advance(3_000_006_000, remove);
  t.equal(table.size, 0);
  t.end();
});

void t.test('whoever is asked at expiry may prolong, insert and remove others', (t) => {
  const { table, first, counts } = lab({ capacity: 4 });
  const slots = [1, 2, 3, 4].map((port) => table.insert(tcp(port), first, 0));
  const [kept = 0, other = 0] = slots;
  const asked: number[] = [];
  table.advance(60_000, (slot) => {
    asked.push(slot);
    if (asked.length === 1) for (let port = 10; port < 20; port++) table.insert(tcp(port), first, 60_000);
    if (slot !== kept && table.find(tcp(2)) === other && slot !== other) table.remove(other);
    return slot === kept ? 60 : 0;
  });
  t.notOk(asked.includes(other), 'one that was removed is not asked any more');
  t.equal(asked.filter((slot) => slot === kept).length, 1);
  t.equal(table.expires(kept, 60_000), 3, 'counted from when it ran out');
  t.equal(table.size, 11);
  t.same(counts(), ['0/11', '0/0']);
  table.advance(121_000, remove);
  t.same([table.size, ...counts()], [0, '0/0', '0/0']);
  t.end();
});

void t.test('the limit refuses new connections until old ones go', (t) => {
  const { table, first, counts } = lab({ capacity: 2, limit: 3 });
  const slots = [1, 2, 3].map((port) => table.insert(tcp(port), first, 0));
  t.equal(table.insert(tcp(4), first, 0), NO_SLOT);
  t.same(counts(), ['0/3', '0/0'], 'a refused one is not counted');
  table.remove(slots[1] ?? NO_SLOT);
  t.equal(table.insert(tcp(4), first, 0), slots[1]);
  t.end();
});

void t.test('a million connections in at most 96 bytes each', (t) => {
  const million = 2 ** 20;
  const { table, first, second, counts } = lab();
  key.set(TCP, '10.1.0.2', 0, '10.1.0.100', 80);
  for (let i = 0; i < million; i++) {
    key.client[0] = 0x0a010000 + (i >> 4);
    key.clientPort = 40000 + (i & 15);
    const slot = table.insert(key, i % 4 === 0 ? first : second, i / 1000);
    table.setState(slot, TcpState.established, i / 1000);
  }
  t.equal(table.size, million);
  t.ok(table.bytes <= 96 * million, `${table.bytes / million} bytes`);
  const twoWay = lab({ capacity: million, twoWay: true, halfOpen: 1 }).table.bytes / million;
  t.ok(twoWay <= 128, `two-way ${twoWay} bytes`);
  key.client[0] = 0x0a010000 + 4711;
  t.equal(table.find(key), 4711 * 16 + 15);
  t.same(counts(), [`${million / 4}/0`, `${(million * 3) / 4}/0`]);
  let asked = 0;
  for (let now = 2_000; now <= 899_000; now += 1_000) table.advance(now, () => ++asked);
  t.equal(asked, 0, 'none expired early');
  for (let now = 900_000; now <= 903_000; now += 1_000) {
    table.advance(now, () => {
      asked++;
      return 0;
    });
  }
  t.equal(asked, million, 'each was asked once');
  t.same([table.size, ...counts()], [0, '0/0', '0/0']);
  t.end();
});

void t.test('a connection that goes to another destination is counted there, and only there', (t) => {
  const { table, first, second, counts } = lab();
  const slot = table.insert(tcp(50001), first, 0);
  table.setState(slot, TcpState.synRecv, 0);
  t.same(counts(), ['1/0', '0/0']);
  table.rebind(slot, second);
  t.same(counts(), ['0/0', '1/0']);
  t.equal(table.destination(slot), second);
  table.remove(slot);
  t.same(counts(), ['0/0', '0/0']);
  t.end();
});

void t.test('a reply is found by what the destination answers with', (t) => {
  const { pool, service, table, first, second } = lab({ twoWay: true });
  const anyPort = pool.addDestination(service, '10.2.0.13', 0);
  const reply = (port: number, server: string, serverPort: number) =>
    table.findReply(key.set(TCP, '10.1.0.2', port, server, serverPort));
  const slot = table.insert(tcp(50001), first, 0);
  t.equal(table.destinationPort(slot), 80);
  t.equal(reply(50001, '10.2.0.11', 80), slot);
  t.equal(reply(50001, '10.2.0.12', 80), NO_SLOT, 'another server');
  t.equal(reply(50001, '10.2.0.11', 81), NO_SLOT, 'another port');
  t.equal(reply(50002, '10.2.0.11', 80), NO_SLOT, 'another connection');
  table.rebind(slot, second);
  t.same([reply(50001, '10.2.0.11', 80), reply(50001, '10.2.0.12', 80)], [NO_SLOT, slot]);
  table.rekey(slot, tcp(50007));
  t.same([reply(50001, '10.2.0.12', 80), reply(50007, '10.2.0.12', 80)], [NO_SLOT, slot]);
  const mapped = table.insert(key.set(TCP, '10.1.0.2', 50003, '10.1.0.100', 8443), anyPort, 0);
  t.equal(table.destinationPort(mapped), 8443, 'port 0: the one that the client asked for');
  t.equal(reply(50003, '10.2.0.13', 8443), mapped);
  const tunnel = pool.addDestination(service, '2001:db8::11', 80);
  table.insert(tcp(50009), tunnel, 0);
  t.equal(reply(50009, '32.1.13.184', 80), NO_SLOT, 'its address begins as an IPv6 server of an IPv4 client');
  const older = table.insert(tcp(50005), first, 0);
  const newer = table.insert(key.set(TCP, '10.1.0.2', 50005, '10.1.0.101', 80), first, 0);
  for (let port = 1; port <= 2000; port++) table.insert(tcp(port), first, 0);
  t.equal(reply(50005, '10.2.0.11', 80), newer, 'of two with one reply the newer, also after growing');
  table.expire(newer);
  t.equal(reply(50005, '10.2.0.11', 80), older);
  t.equal(lab().table.findReply(tcp(1)), NO_SLOT, 'nothing in a table that is not two-way');
  t.end();
});

void t.test('a flood of SYNs costs the oldest half-open connections, never an established one', (t) => {
  const evicted: number[] = [];
  const { table, first, counts } = lab({
    halfOpen: 100,
    limit: 1000,
    evicted: (slot) => evicted.push(slot),
  });
  const established = table.insert(tcp(1), first, 0);
  table.setState(established, TcpState.synRecv, 0);
  table.setState(established, TcpState.established, 0);
  table.setState(established, TcpState.closeWait, 0);
  const flow = table.insert(key.set(UDP, '10.1.0.2', 1, '10.1.0.100', 53), first, 0);
  table.confirm(flow);
  const closed = table.insert(tcp(2), first, 0);
  table.setState(closed, TcpState.close, 0);
  const single = table.insert(key.set(UDP, '10.1.0.2', 2, '10.1.0.100', 53), first, 0);
  for (let port = 1001; port <= 6000; port++) {
    table.setState(table.insert(tcp(port, '192.0.2.1'), first, 0), TcpState.synRecv, 0);
  }
  t.equal(table.size, 102);
  t.equal(table.halfOpen, 100);
  t.ok(table.capacity <= 1024);
  t.same(counts(), ['100/2', '0/0']);
  t.equal(table.find(tcp(1)), established);
  t.equal(table.find(key.set(UDP, '10.1.0.2', 1, '10.1.0.100', 53)), flow);
  t.same(
    evicted.slice(0, 2),
    [closed, single],
    'reset before it was established, and a single datagram, go like a SYN',
  );
  t.equal(table.find(tcp(5900, '192.0.2.1')), NO_SLOT);
  t.not(table.find(tcp(5901, '192.0.2.1')), NO_SLOT, 'the newest stay');
  t.equal(evicted.length, 4902);
  t.end();
});

void t.test('at its limit the oldest half-open connection makes room, or nothing does', (t) => {
  const { table, first } = lab({ limit: 2, halfOpen: 10 });
  const old = table.insert(tcp(1), first, 0);
  const kept = table.insert(tcp(2), first, 0);
  table.setState(kept, TcpState.established, 0);
  t.equal(table.insert(tcp(3), first, 0), old, 'its slot is taken');
  t.equal(table.find(tcp(1)), NO_SLOT);
  table.confirm(table.find(tcp(3)));
  t.equal(table.insert(tcp(4), first, 0), NO_SLOT);
  t.equal(table.find(tcp(2)), kept);
  t.end();
});

void t.test('a half-open connection that is asked about at expiry makes room for nobody', (t) => {
  const { table, first, counts } = lab({ limit: 1, halfOpen: 1 });
  const slot = table.insert(tcp(1), first, 0);
  table.advance(4_000, () => (table.insert(tcp(2), first, 4_000) === NO_SLOT ? 60 : 0));
  t.equal(table.find(tcp(1)), slot);
  t.ok(table.isHalfOpen(slot), 'and is still half-open when it lives on');
  table.advance(70_000, remove);
  t.same([table.size, table.halfOpen, ...counts()], [0, 0, '0/0', '0/0']);
  t.end();
});
