import t from 'tap';
import { readArp, readNeighbourDiscovery } from '../../../src/engines/packet/hops/neighbour-messages.ts';
import { Neighbours } from '../../../src/engines/packet/hops/neighbours.ts';
import type { Link } from '../../../src/platform/netlink.ts';
import { advertisement, arp, describe, FakeNetlink, groupMac, ipPacket, link, mac } from './fake-network.ts';

const eth1 = link(2, 'eth1');
const server = '10.2.0.11';
const ask = `to ffffffffffff: who has ${server}? tell 10.2.0.1`;
const askAt = (last: number): string => `to 0200000000${last}: who has ${server}? tell 10.2.0.1`;

/** Neighbours at a time that the test moves; `use` sends a packet and says what became of it. */
function set() {
  const netlink = new FakeNetlink();
  const sent: string[] = [];
  const problems: string[] = [];
  const neighbours = new Neighbours({
    kernel: (index, address) => netlink.neighbour(index, address),
    send: (index, frame, length) => {
      sent.push(`${index === 2 ? '' : `link ${index} `}${describe(frame.subarray(0, length))}`);
    },
    problem: (message) => problems.push(message),
  });
  let now = 1000;
  return {
    netlink,
    neighbours,
    problems,
    now: () => now,
    find: (address = server, on: Link = eth1, source = '10.2.0.1') =>
      neighbours.find(on, address, source, undefined, now),
    /** What was sent since the last look. */
    sent: () => sent.splice(0),
    /** Time passes, in the steps of a forwarder's turns. */
    pass: (milliseconds: number, each: () => void = () => undefined): void => {
      for (const end = now + milliseconds; now < end; now += 50) {
        each();
        neighbours.advance(now);
      }
    },
    /** MAC address that a packet would go to now; undefined when it must wait. */
    macOf: (number: number): string | undefined => {
      const frame = Buffer.alloc(14);
      return neighbours.writeHeader(number, frame, 0, 0x0800) ? frame.toString('hex', 0, 6) : undefined;
    },
    queue: (number: number, mark: number, family: 4 | 6 = 4): void => {
      neighbours.queue(number, Buffer.concat([Buffer.alloc(3), ipPacket(mark, family)]), 3, 40, now);
    },
    hear: (frame: Buffer, length = frame.length): void => {
      const claim = readArp(frame, length) ?? readNeighbourDiscovery(frame, length);
      if (claim !== undefined) neighbours.learn(2, claim, now);
    },
  };
}

t.test('what the kernel knows is used at once', (t) => {
  const { netlink, find, macOf, sent, pass } = set();
  const known = { interfaceIndex: 2, mac: mac(0x11), fixed: false };
  netlink.known = [{ ...known, address: server, reachable: true }];
  const number = find();
  t.equal(find(), number, 'the same neighbour has the same number');
  t.equal(macOf(number), '020000000011');
  netlink.known = [];
  pass(29_000, () => macOf(number));
  t.same(sent(), [], 'and not asked for half a minute');

  netlink.known = [{ ...known, address: '10.2.0.12', reachable: false }];
  const stale = find('10.2.0.12');
  t.equal(macOf(stale), '020000000011', 'even what it has not confirmed lately');
  pass(300);
  t.same(sent(), ['to 020000000011: who has 10.2.0.12? tell 10.2.0.1'], 'but that is asked for');
  t.end();
});

t.test('a header is written with both addresses and the type', (t) => {
  const { neighbours, find, hear } = set();
  const number = find();
  const frame = Buffer.alloc(20, 0xa5);
  t.notOk(neighbours.writeHeader(number, frame, 3, 0x86dd));
  t.ok(
    frame.every((byte) => byte === 0xa5),
    'nothing is written while it is not known',
  );
  neighbours.queue(number, ipPacket(1), 0, 40, 1000);
  hear(arp('reply', server, mac(0x11)));
  t.ok(neighbours.writeHeader(number, frame, 3, 0x86dd));
  t.equal(frame.toString('hex'), 'a5a5a5' + '020000000011' + '020000000001' + '86dd' + 'a5a5a5');
  t.end();
});

t.test('an unknown neighbour is asked, and packets wait for the answer', (t) => {
  const { neighbours, find, hear, pass, queue, sent, macOf } = set();
  const number = find();
  t.same(sent(), [], 'not before there is something to send');
  queue(number, 1);
  queue(number, 2);
  t.same(sent(), [ask], 'once');
  pass(1300);
  t.same(sent(), [ask], 'and again after a second');
  hear(arp('reply', '10.2.0.99', mac(0x99)));
  t.same(sent(), [], 'others do not matter');
  hear(arp('reply', server, mac(0x11)));
  t.same(sent(), ['to 020000000011: 800 packet 1', 'to 020000000011: 800 packet 2']);
  queue(number, 3);
  t.same(sent(), ['to 020000000011: 800 packet 3'], 'a packet that came too late to wait goes out');
  t.equal(macOf(number), '020000000011');
  t.equal(neighbours.dropped, 0);
  t.end();
});

t.test('it is enough to hear of a neighbour that is waited for', (t) => {
  for (const [what, frame] of [
    ['its question to us', arp('request', server, mac(0x11))],
    ['its announcement', arp('request', server, mac(0x11), server)],
    ['its announcement in an answer', arp('reply', server, mac(0x11), server)],
  ] as const) {
    const { find, hear, queue, sent } = set();
    queue(find(), 1);
    sent();
    hear(frame);
    t.same(sent(), ['to 020000000011: 800 packet 1'], what);
  }
  const { find, hear, queue, sent, netlink, pass } = set();
  queue(find(), 1);
  sent();
  for (const nonsense of [
    arp('reply', server, new Uint8Array(6)),
    arp('reply', server, groupMac),
    arp('request', '0.0.0.0', mac(0x11), server),
    Buffer.alloc(10),
    Buffer.alloc(60),
  ])
    hear(nonsense);
  hear(arp('reply', server, mac(0x11)), 41);
  t.same(sent(), [], 'nonsense is not believed');
  netlink.known = [{ interfaceIndex: 2, address: server, mac: mac(0x12), reachable: true, fixed: false }];
  pass(1300);
  t.same(sent(), ['to 020000000012: 800 packet 1'], 'the kernel has found out in the meantime');
  t.end();
});

t.test('a neighbour that does not answer is given up, told of once, and asked anew', (t) => {
  const { neighbours, find, pass, problems, queue, sent, hear } = set();
  const number = find();
  pass(20_000, () => {
    queue(number, 1);
  });
  const asked = sent();
  t.ok(asked.every((question) => question === ask));
  t.ok(asked.length >= 18 && asked.length <= 21, `${asked.length} questions in 20 seconds`);
  t.same(problems, ['10.2.0.11 on eth1 does not answer ARP']);
  t.ok(neighbours.dropped > 300, 'what waited is counted as dropped');
  hear(arp('reply', server, mac(0x11)));
  t.same(sent().at(-1), 'to 020000000011: 800 packet 1', 'until it is there');
  pass(100_000);
  t.equal(problems.length, 1);
  pass(10_000, () => neighbours.writeHeader(number, Buffer.alloc(14), 0, 0x0800));
  t.equal(problems.length, 2, 'and is told of again when it goes away again');
  t.end();
});

t.test('the number of waiting packets is bounded', (t) => {
  const { neighbours, find, hear, queue, sent, pass } = set();
  const first = find();
  for (let mark = 0; mark < 70; mark++) queue(first, mark);
  t.equal(neighbours.dropped, 6);
  sent();
  hear(arp('reply', server, mac(0x11)));
  t.equal(sent()[0], 'to 020000000011: 800 packet 6', 'the oldest went');
  const many = Array.from({ length: 1100 }, (_, i) => find(`10.2.${1 + (i >> 8)}.${i & 255}`));
  for (const number of many) queue(number, 1);
  t.equal(sent().length, 1024, 'who cannot wait does not ask');
  t.equal(neighbours.dropped, 6 + 76);
  pass(3200);
  t.equal(neighbours.dropped, 6 + 1100, 'three seconds are enough');
  t.end();
});

t.test('a scan of our network does not fill the log', (t) => {
  const { find, queue, pass, problems } = set();
  for (let i = 0; i < 200; i++) queue(find(`10.2.0.${i}`), 1);
  pass(61_000);
  t.equal(problems.length, 11);
  t.equal(problems.at(-1), '190 more neighbours do not answer');
  t.end();
});

t.test('a neighbour in use is confirmed every half minute, an idle one is left alone', (t) => {
  const { find, hear, macOf, pass, sent, queue, problems } = set();
  const number = find();
  queue(number, 1);
  hear(arp('reply', server, mac(0x11)));
  sent();
  pass(120_000);
  t.same(sent(), [], 'idle');
  macOf(number);
  pass(300);
  t.same(sent(), [askAt(11)], 'asked directly');
  hear(arp('reply', server, mac(0x11)));
  const use = (): void => void macOf(number);
  pass(29_500, use);
  t.same(sent(), []);
  pass(1000, use);
  t.same(sent(), [askAt(11)]);
  pass(5000, use);
  t.same(sent(), [askAt(11), askAt(11), ask, ask, ask], 'then asked of all');
  t.equal(macOf(number), '020000000011', 'and used as long as there is hope');
  pass(1300);
  t.equal(macOf(number), undefined);
  t.same(problems, ['10.2.0.11 on eth1 does not answer ARP']);
  t.end();
});

t.test('what the kernel has confirmed lately we need not ask', (t) => {
  const { find, macOf, netlink, pass, sent } = set();
  const known = { interfaceIndex: 2, address: server, reachable: true, fixed: false };
  netlink.known = [{ ...known, mac: mac(0x11) }];
  const number = find();
  pass(100_000, () => macOf(number));
  t.same(sent(), []);
  netlink.known = [{ ...known, mac: mac(0x12) }];
  pass(31_000, () => macOf(number));
  t.equal(macOf(number), '020000000012', 'and it may have another answer');
  netlink.known = [{ ...known, mac: mac(0x13), fixed: true }];
  pass(31_000, () => macOf(number));
  t.equal(macOf(number), '020000000013', 'as the administrator may');
  netlink.known = [];
  pass(31_000);
  t.equal(macOf(number), undefined);
  t.end();
});

t.test('failover: a gratuitous ARP moves an address at once', (t) => {
  const { find, hear, macOf, pass, queue, sent } = set();
  const number = find();
  queue(number, 1);
  hear(arp('reply', server, mac(0x11)));
  hear(arp('reply', server, mac(0x66)));
  t.equal(macOf(number), '020000000011', 'the first of two answers wins');
  hear(arp('request', server, mac(0x12), server));
  t.equal(macOf(number), '020000000012', 'request');
  hear(arp('reply', server, mac(0x13), server));
  t.equal(macOf(number), '020000000013', 'reply');
  sent();
  pass(300);
  t.same(sent(), [askAt(13)], 'and whether it is really there is asked');
  hear(arp('reply', server, mac(0x13)));
  pass(2000);
  hear(arp('request', server, mac(0x14)));
  t.equal(macOf(number), '020000000014', 'so does its question to us, later');
  t.end();
});

t.test('IPv6: solicitations and advertisements', (t) => {
  const all = '3333ff000011';
  const { find, hear, macOf, pass, queue, sent, problems } = set();
  const address = '2001:db8::11';
  const number = find(address, eth1, '2001:db8::1');
  queue(number, 1, 6);
  const tell = '? tell ..00000001 at 020000000001';
  t.same(sent(), [`to ${all}: who has ..00000011${tell}`]);
  hear(advertisement(address, mac(0x11), 'ff02::1', true));
  t.same(sent(), [], 'an answer to everybody is none');
  const broken = advertisement(address, mac(0x11), '2001:db8::1', true);
  broken[60] = 1;
  hear(broken);
  t.same(sent(), [], 'nor is one with a wrong checksum');
  hear(advertisement(address, mac(0x11), '2001:db8::1', true));
  t.same(sent(), ['to 020000000011: 86dd packet 1']);
  pass(31_000, () => macOf(number));
  t.same(sent(), [`to 020000000011: who has ..00000011${tell}`]);
  hear(advertisement(address, mac(0x12), 'ff02::1', false));
  t.equal(macOf(number), '020000000012', 'unsolicited: the address has moved');
  pass(10_000, () => macOf(number));
  t.same(problems, ['2001:db8::11 on eth1 does not answer neighbour discovery']);
  t.end();
});

t.test('a new route generation keeps who is still there', (t) => {
  const { neighbours, find, hear, macOf, now, queue } = set();
  const eth2 = link(3, 'eth2');
  const number = find();
  queue(number, 1);
  hear(arp('reply', server, mac(0x11)));
  const gone = find('10.3.0.1', eth2);
  queue(gone, 1);
  neighbours.keep(new Map([[2, eth1]]), now());
  t.equal(macOf(find()), '020000000011', 'without asking');
  t.equal(neighbours.dropped, 1, 'what waited on a link that went away is dropped');
  neighbours.keep(new Map([[2, { ...eth1, mac: mac(9) }]]), now());
  t.equal(macOf(find()), undefined, 'not on a link whose own address changed');
  queue(find(), 1);
  hear(arp('reply', server, mac(0x11)));
  macOf(find());
  neighbours.keep(new Map([[2, eth1]]), now());
  queue(find(), 1);
  hear(arp('reply', server, mac(0x11)));
  neighbours.keep(new Map([[2, eth1]]), now() + 1_000_000);
  neighbours.keep(new Map([[2, eth1]]), now() + 2_000_000);
  t.equal(macOf(find()), undefined, 'nor one that nobody needed for long');
  t.end();
});
