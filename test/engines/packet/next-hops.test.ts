import t from 'tap';
import { addressWords } from '../../../src/engines/address-words.ts';
import { captureLinks, ownAddresses } from '../../../src/engines/interfaces.ts';
import { HOP_NONE, NextHops } from '../../../src/engines/packet/hops/next-hops.ts';
import type { Address } from '../../../src/util/ip.ts';
import { advertisement, arp, describe, FakeNetlink, ipPacket, link, mac, route } from './fake-network.ts';

const words = (address: Address): Int32Array => addressWords(address).words;

function set(netlink = new FakeNetlink()) {
  const sent: string[] = [];
  const problems: string[] = [];
  const time = { now: 1000 };
  const hops = new NextHops({
    netlink,
    send: (index, frame, length) => sent.push(`${index} ${describe(frame.subarray(0, length))}`),
    problem: (message) => problems.push(message),
    now: () => time.now,
  });
  return {
    netlink,
    hops,
    problems,
    time,
    sent: () => sent.splice(0),
    hopFor: (address: Address, from?: Address) => {
      const { family, words } = addressWords(address);
      return from === undefined
        ? hops.hopFor(words, family)
        : hops.hopFor(words, family, addressWords(from).words);
    },
    /** Routes change, and the forwarder's next turn comes. */
    change: (milliseconds = 1000): void => {
      netlink.isChanged = true;
      hops.advance((time.now += milliseconds));
    },
  };
}

t.test('the kernel is asked once for each destination', (t) => {
  const { hopFor, hops, netlink } = set();
  netlink.answer = () => route(2, { gateway: '10.2.0.254' });
  const hop = hopFor('192.0.2.1');
  t.equal(hopFor('192.0.2.1'), hop);
  t.same(netlink.asked, ['192.0.2.1']);
  t.equal(hops.kind(hop), 'ethernet');
  t.equal(hops.link(hop), 2);
  t.equal(hops.mtu(hop), 1500);
  t.same(hops.source(hop), words('10.2.0.1'));
  t.ok(hops.valid(hop));
  t.notOk(hops.valid(HOP_NONE));
  const clients = Array.from({ length: 3000 }, (_, i) => `198.51.${i >> 8}.${i & 255}`);
  t.ok(
    clients.every((client) => hopFor(client) === hop),
    'all clients share a hop',
  );
  t.equal(netlink.asked.length, 3001);
  for (const client of clients) hopFor(client);
  t.equal(netlink.asked.length, 3001, 'and many are remembered');
  t.end();
});

t.test('addresses are not mistaken for one another', (t) => {
  const { hopFor, hops, netlink } = set();
  netlink.answer = (to) => route(2, { gateway: to.includes(':') ? '2001:db8::fe' : '10.2.0.254' });
  // 32.1.13.184 has the same first word as 2001:db8::, and this host's addresses differ in their last words
  const all = ['32.1.13.184', '2001:db8::', '2001:db8::1', '2001:db8:0:1::', '2001:db8:0:0:1::'] as const;
  for (const address of [...all, ...all]) hopFor(address);
  t.same(netlink.asked, all);
  t.not(hopFor('32.1.13.184'), hopFor('2001:db8::'));
  t.equal(hopFor('2001:db8::1'), hopFor('2001:db8:0:1::'));
  t.same(hops.source(hopFor('32.1.13.184')), words('10.2.0.1'));
  t.end();
});

t.test('where packets cannot or need not be frames', (t) => {
  const { hopFor, hops, netlink } = set();
  netlink.all.push(
    link(3, 'tun0', { ethernet: false, mtu: 1400 }),
    link(4, 'p2p', { arp: false, mac: mac(4) }),
  );
  netlink.own.push({ interfaceIndex: 2, address: '2001:db8::1', prefix: 64 });
  const frame = Buffer.alloc(14);
  const macOf = (hop: number): string | undefined =>
    hops.writeHeader(hop, frame, 0, 0x0800) ? frame.toString('hex', 0, 6) : undefined;
  const answers: Record<Address, ReturnType<typeof route>> = {
    '10.2.0.1': route(1, { kind: 'local', source: '10.2.0.1' }),
    '127.0.0.2': route(1, { source: '127.0.0.1' }),
    '10.8.0.9': route(3, { gateway: '10.8.0.1' }),
    '10.8.0.10': route(3),
    '10.9.0.1': route(4),
    '10.9.0.2': route(4),
    '10.2.0.255': route(2, { kind: 'broadcast' }),
    '239.129.2.3': route(2, { kind: 'multicast' }),
    'ff02::1:2': route(2, { kind: 'multicast', source: '2001:db8::1' }),
    '10.0.0.1': route(2, { kind: 'unreachable' }),
    '10.0.0.2': route(2, { kind: 'blackhole' }),
    '10.0.0.3': route(77),
  };
  netlink.known = [{ interfaceIndex: 4, address: '10.9.0.2', mac: mac(0x92), reachable: true, fixed: true }];
  netlink.answer = (to) => answers[to];
  t.equal(hops.kind(hopFor('10.2.0.1')), 'local');
  t.equal(hops.mtu(hopFor('10.2.0.1')), 65536);
  t.equal(hops.kind(hopFor('127.0.0.2')), 'local');
  t.equal(hops.kind(hopFor('10.8.0.9')), 'kernel');
  t.equal(hops.mtu(hopFor('10.8.0.9')), 1400);
  t.equal(hopFor('10.8.0.9'), hopFor('10.8.0.10'));
  t.equal(macOf(hopFor('10.8.0.9')), undefined);
  t.equal(macOf(hopFor('10.9.0.1')), '020000000004', 'a link without ARP: the link itself, as in Linux');
  t.equal(macOf(hopFor('10.9.0.2')), '020000000092', 'or whom the administrator named');
  for (const nowhere of ['10.0.0.1', '10.0.0.2', '10.0.0.3', '172.16.0.1'])
    t.equal(hopFor(nowhere), HOP_NONE, nowhere);
  for (const group of ['10.2.0.255', '239.129.2.3', 'ff02::1:2'])
    t.equal(hopFor(group), HOP_NONE, `${group}: an answer to a client that is a group would be many`);
  const { length } = netlink.asked;
  t.equal(hopFor('172.16.0.1'), HOP_NONE);
  t.equal(netlink.asked.length, length, 'that there is no way is remembered too');
  t.end();
});

t.test('a packet waits for its neighbour and goes out as a frame', (t) => {
  const { hopFor, hops, netlink, sent, problems, time } = set();
  netlink.answer = (to) =>
    to.includes(':')
      ? route(2, { source: '2001:db8::1' })
      : route(2, { gateway: to === '10.2.0.11' ? undefined : '10.2.0.254' });
  const frame = Buffer.alloc(14);
  const [server, client, six] = [hopFor('10.2.0.11'), hopFor('192.0.2.1'), hopFor('2001:db8::11')];
  for (const hop of [server, client, six]) t.notOk(hops.writeHeader(hop, frame, 0, 0x0800));
  hops.queue(server, ipPacket(1), 0, 40);
  hops.queue(client, ipPacket(2), 0, 40);
  hops.queue(six, ipPacket(3, 6), 0, 40);
  t.same(sent(), [
    '2 to ffffffffffff: who has 10.2.0.11? tell 10.2.0.1',
    '2 to ffffffffffff: who has 10.2.0.254? tell 10.2.0.1',
    '2 to 3333ff000011: who has ..00000011? tell ..00000001 at 020000000001',
  ]);
  hops.arp(3, arp('reply', '10.2.0.11', mac(0x99)), 60);
  t.same(sent(), [], 'on another link it is somebody else');
  const frames = [arp('reply', '10.2.0.11', mac(0x11)), arp('reply', '10.2.0.254', mac(0xfe))];
  for (const answer of frames) hops.arp(2, answer, answer.length);
  const answer = advertisement('2001:db8::11', mac(0x66), '2001:db8::1', true);
  hops.neighbourDiscovery(2, answer, answer.length);
  t.same(sent(), [
    '2 to 020000000011: 800 packet 1',
    '2 to 0200000000fe: 800 packet 2',
    '2 to 020000000066: 86dd packet 3',
  ]);
  t.ok(hops.writeHeader(client, frame, 0, 0x0800));
  t.equal(frame.toString('hex'), '0200000000fe0200000000010800');

  const silent = hopFor('10.2.0.11');
  t.equal(silent, server);
  for (let i = 0; i < 1000; i++) {
    hops.writeHeader(server, frame, 0, 0x0800);
    hops.advance((time.now += 100));
  }
  t.ok(problems.includes('10.2.0.11 on eth1 does not answer ARP'));
  t.end();
});

t.test('an IPv4 packet may have an IPv6 gateway', (t) => {
  const { hopFor, hops, netlink, sent } = set();
  netlink.own.push({ interfaceIndex: 2, address: '2001:db8::1', prefix: 64 });
  netlink.answer = () => route(2, { gateway: '2001:db8::fe' });
  const hop = hopFor('192.0.2.1');
  t.same(hops.source(hop), words('10.2.0.1'));
  hops.queue(hop, ipPacket(1), 0, 40);
  t.match(sent()[0], /who has ..000000fe\? tell ..00000001/);
  const answer = advertisement('2001:db8::fe', mac(0xfe), '2001:db8::1', true);
  hops.neighbourDiscovery(2, answer, answer.length);
  t.same(sent(), ['2 to 0200000000fe: 800 packet 1']);
  t.end();
});

t.test('after a change of routes everything is asked anew', (t) => {
  const { hopFor, hops, netlink, change, time, sent } = set();
  netlink.answer = () => route(2, { gateway: '10.2.0.254' });
  const before = hopFor('192.0.2.1');
  hops.queue(before, ipPacket(1), 0, 40);
  hops.arp(2, arp('reply', '10.2.0.254', mac(0xfe)), 60);
  hops.advance((time.now += 1000));
  t.ok(hops.valid(before), 'no change');

  netlink.answer = () => route(2, { gateway: '10.2.0.253' });
  change();
  t.notOk(hops.valid(before));
  t.notOk(hops.writeHeader(before, Buffer.alloc(14), 0, 0x0800), 'nothing goes the old way');
  const after = hopFor('192.0.2.1');
  t.not(after, before, 'numbers are not given again');
  t.ok(hops.valid(after));
  sent();
  hops.queue(before, ipPacket(1), 0, 40);
  t.same(sent(), []);
  hops.queue(after, ipPacket(1), 0, 40);
  t.same(sent(), ['2 to ffffffffffff: who has 10.2.0.253? tell 10.2.0.1']);

  netlink.answer = () => route(2, { gateway: '10.2.0.254' });
  change();
  const back = hopFor('192.0.2.1');
  t.ok(hops.writeHeader(back, Buffer.alloc(14), 0, 0x0800), 'neighbours stay known');

  const seen = new Set([before, after, back]);
  for (let i = 0; i < 30_000; i++) {
    change(10_000);
    seen.add(hopFor('192.0.2.1'));
  }
  t.equal(seen.size, 30_003);
  t.end();
});

t.test('an answer of long ago is not taken for one of today', (t) => {
  const { hopFor, hops, netlink, change } = set();
  netlink.answer = () => route(2, { gateway: '10.2.0.254' });
  const first = hopFor('192.0.2.1');
  let changes = 0;
  do change(10_000);
  while (!hops.valid(first) && ++changes < 40_000);
  t.ok(hops.valid(first), `hop numbers begin anew after ${changes} changes`);
  netlink.answer = () => undefined;
  t.equal(hopFor('192.0.2.1'), HOP_NONE);
  t.end();
});

t.test('routes that never stop changing do not keep us from forwarding', (t) => {
  const { hopFor, hops, netlink, change } = set();
  netlink.answer = () => route(2, { gateway: '10.2.0.254' });
  let renewed = 0;
  for (let i = 0; i < 1000; i++) {
    const hop = hopFor('192.0.2.1');
    change(50);
    if (!hops.valid(hop)) renewed++;
  }
  t.ok(renewed >= 10 && renewed <= 20, `${renewed} times in 50 seconds`);
  netlink.isChanged = false;
  for (let i = 0; i < 10; i++) change(20_000);
  const hop = hopFor('192.0.2.1');
  change(150);
  t.notOk(hops.valid(hop), 'and once it is calm, a change is acted on at once');
  t.end();
});

t.test('a link that has just come is looked up; one that got another MAC address sends with it', (t) => {
  const { hopFor, hops, netlink, change } = set();
  netlink.all.push(link(9, 'eth9', { mtu: 9000 }));
  netlink.known = [{ interfaceIndex: 9, address: '10.9.0.1', mac: mac(0x91), reachable: true, fixed: false }];
  netlink.answer = (to) => route(to === '10.9.0.1' ? 9 : 2);
  t.equal(hops.mtu(hopFor('10.9.0.1')), 9000);
  const frame = Buffer.alloc(14);
  t.ok(hops.writeHeader(hopFor('10.9.0.1'), frame, 0, 0x0800));
  netlink.all = netlink.all.map((link) => (link.index === 9 ? { ...link, mac: mac(0x77) } : link));
  change();
  t.ok(hops.writeHeader(hopFor('10.9.0.1'), frame, 0, 0x0800));
  t.equal(frame.toString('hex', 6, 12), '020000000077');
  t.end();
});

t.test('more neighbours than there is room for: a new generation', (t) => {
  const { hopFor, hops } = set();
  const first = hopFor('10.0.0.0');
  for (let i = 1; i < 65535; i++) hopFor(`10.0.${i >> 8}.${i & 255}`);
  t.ok(hops.valid(first), '65535 on one link');
  const next = hopFor('10.1.0.0');
  t.notOk(hops.valid(first));
  t.ok(hops.valid(next));
  t.ok(hops.valid(hopFor('10.0.0.0')));
  t.end();
});

t.test('rules may choose a route by the source', (t) => {
  const { hopFor, hops, netlink } = set();
  netlink.all.push(link(3, 'eth2'));
  netlink.answer = (_to, from) => {
    if (from === '10.9.9.9') return undefined;
    return from === '10.3.0.1' ? route(3, { source: from, gateway: '10.3.0.254' }) : route(2);
  };
  t.equal(hops.link(hopFor('192.0.2.1')), 2);
  t.equal(hops.link(hopFor('192.0.2.1', '10.3.0.1')), 3);
  t.equal(hops.link(hopFor('192.0.2.1')), 2, 'one does not replace the other');
  t.equal(hops.link(hopFor('192.0.2.1', '10.9.9.9')), 2, 'an address that is not here: as for any');
  t.end();
});

t.test('how large a packet may be', (t) => {
  const { hopFor, hops, netlink, time } = set();
  netlink.answer = (to) => {
    if (to === '192.0.2.7') return route(2, { mtu: 1300 });
    return to === '192.0.2.8' ? route(2, { mtu: 1250, mtuExpires: 5000 }) : route(2);
  };
  const mtuTo = (address: Address): number =>
    hops.mtuTo(words(address), address.includes(':') ? 6 : 4, hopFor(address));
  const learn = (address: Address, mtu: number): void => {
    hops.learnMtu(words(address), address.includes(':') ? 6 : 4, mtu, time.now);
  };
  const pass = (milliseconds: number): void => {
    hops.advance((time.now += milliseconds));
  };
  t.equal(hops.mtu(hopFor('192.0.2.7')), 1300, 'of the route');
  t.equal(mtuTo('192.0.2.7'), 1300);
  t.equal(hops.mtu(hopFor('192.0.2.8')), 1500);
  t.equal(mtuTo('192.0.2.8'), 1250, 'what the kernel has learned');
  pass(5001);
  t.equal(mtuTo('192.0.2.8'), 1500, 'for as long as it believes it');

  learn('192.0.2.1', 1400);
  t.equal(mtuTo('192.0.2.1'), 1400, 'what was learned here');
  t.equal(mtuTo('192.0.2.2'), 1500, 'is of that address');
  learn('192.0.2.1', 1450);
  t.equal(mtuTo('192.0.2.1'), 1400, 'it only ever falls');
  pass(500_000);
  learn('192.0.2.1', 1400);
  pass(500_000);
  t.equal(mtuTo('192.0.2.1'), 1400, 'and holds ten minutes');
  pass(100_001);
  t.equal(mtuTo('192.0.2.1'), 1500);
  learn('192.0.2.1', 68);
  t.equal(mtuTo('192.0.2.1'), 552);
  learn('192.0.2.1', 0);
  t.equal(mtuTo('192.0.2.1'), 552);
  learn('2001:db8::1', 1000);
  t.equal(mtuTo('2001:db8::1'), 1280);
  learn('192.0.2.3', 9000);
  t.equal(mtuTo('192.0.2.3'), 1500, 'never more than the link takes');
  t.end();
});

t.test('who can talk past this host', (t) => {
  const { hopFor, hops, netlink } = set();
  netlink.all.push(link(3, 'eth2'));
  netlink.answer = (to) => {
    if (to.startsWith('10.2.')) return route(2);
    return to.startsWith('10.3.') ? route(3) : route(2, { gateway: '10.2.0.254' });
  };
  t.ok(hops.onLinkWith(hopFor('10.2.0.11'), hopFor('10.2.0.12')));
  t.notOk(hops.onLinkWith(hopFor('10.2.0.11'), hopFor('10.3.0.12')), 'another link');
  t.notOk(hops.onLinkWith(hopFor('10.2.0.11'), hopFor('192.0.2.1')), 'behind a gateway');
  t.notOk(hops.onLinkWith(hopFor('10.2.0.11'), HOP_NONE));
  t.end();
});

t.test('which interfaces carry packets of their own', (t) => {
  const links = [
    link(1, 'lo', { loopback: true, ethernet: false }),
    link(2, 'eth0'),
    link(3, 'eth1', { up: false }),
    link(4, 'eth2', { master: 5 }),
    link(5, 'bond0', { kind: 'bond' }),
    link(6, 'tun0', { ethernet: false }),
    link(7, 'eth0.7', { kind: 'vlan' }),
    link(8, 'red', { kind: 'vrf' }),
    link(9, 'eth3', { master: 8 }),
  ];
  t.same(
    captureLinks(links).map(({ name }) => name),
    ['eth0', 'bond0', 'eth0.7', 'eth3'],
  );
  const address = (address: Address, interfaceIndex: number) => ({ address, interfaceIndex, prefix: 24 });
  t.same(ownAddresses([address('10.1.0.1', 2), address('10.1.0.1', 3), address('::1', 1)]), [
    '10.1.0.1',
    '::1',
  ]);
  t.end();
});
