import t from 'tap';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ReassemblyDrops } from '../../../src/engines/packet/forwarding/reassembly.ts';
import { Reassembly } from '../../../src/engines/packet/forwarding/reassembly.ts';
import { fragment } from '../../../src/wire/fragmentation.ts';
import { IpPacket } from '../../../src/wire/ip-packet.ts';
import { anyPacket, bytesOf, sealed, TCP, UDP, udpSegment, v4, v6 } from '../../wire/reference.ts';
import type { Packet } from '../../wire/reference.ts';

const data = (length: number) => Array.from({ length }, (_, i) => (i * 7) & 0xff);
const udp4: Packet = {
  family: 4,
  source: v4.client,
  destination: v4.vip,
  protocol: UDP,
  segment: udpSegment(1, 53, data(88)),
  identification: 0x4242,
};
const udp6: Packet = { ...udp4, family: 6, source: v6.client, destination: v6.vip };

const MORE = 0x2000;
const DF = 0x4000;

/** Bytes `from` to `to` of the datagram as a fragment. */
function part(
  made: Packet,
  from: number,
  to: number,
  flags = to < made.segment.length ? MORE : 0,
  id = made.identification ?? 0,
): Uint8Array {
  const piece = sealed(made).slice(from, to);
  if (made.family === 4) return bytesOf({ ...made, fragment: flags | (from / 8), identification: id }, piece);
  const header = [0, from >> 8, (from & 0xff) | (flags & MORE ? 1 : 0), 0, 0, id >> 8, id & 0xff];
  return bytesOf({ ...made, extensions: [...(made.extensions ?? []), [44, header]] }, piece);
}

/** @returns a copy of the whole datagram, if this completes it */
function add(reassembly: Reassembly, bytes: Uint8Array, now = 0): Uint8Array | undefined {
  const packet = new IpPacket();
  assert.equal(packet.read(bytes, 0, bytes.length), 0);
  assert.ok(packet.isFragment);
  const whole = reassembly.add(packet, now);
  if (whole === undefined) return undefined;
  assert.equal(whole.isFragment, false);
  assert.equal(whole.fragmentHeader, -1);
  return whole.bytes.slice(whole.at, whole.at + whole.length);
}

const drops = (more: Partial<ReassemblyDrops>) => ({
  expired: 0,
  evicted: 0,
  overlapping: 0,
  malformed: 0,
  duplicates: 0,
  ...more,
});

t.test('three fragments in the wrong order', (t) => {
  for (const made of [udp4, udp6]) {
    const reassembly = new Reassembly({});
    t.equal(add(reassembly, part(made, 64, 96)), undefined);
    t.equal(add(reassembly, part(made, 0, 24)), undefined);
    t.same(add(reassembly, part(made, 24, 64)), bytesOf(made));
    t.equal(reassembly.largestFragment, made.family === 4 ? 60 : 88);
    t.equal(reassembly.size, 0);
    t.equal(reassembly.bytes, 0);
    t.same(reassembly.dropped, drops({}));
  }
  t.end();
});

t.test(
  'options, and IPv6 headers before and behind the fragment header, are those of the first fragment',
  (t) => {
    const options: Packet = { ...udp4, options: [7, 3, 4, 0] };
    const reassembly = new Reassembly({});
    add(reassembly, part({ ...options, options: [1, 1, 1, 0] }, 40, 96));
    t.same(add(reassembly, part(options, 0, 40)), bytesOf(options));
    const hopByHop = [0, [0, 1, 4, 0, 0, 0, 0]] as const;
    const behind = [60, [0, 1, 4, 0, 0, 0, 0]] as const;
    const six: Packet = { ...udp6, extensions: [hopByHop] };
    t.same((add(reassembly, part(six, 0, 40)), add(reassembly, part(six, 40, 96))), bytesOf(six));
    const segment = sealed(udp6);
    const first = bytesOf(
      { ...udp6, extensions: [hopByHop, [44, [0, 0, 1, 0, 0, 0, 9]], behind] },
      segment.slice(0, 40),
    );
    const last = bytesOf(
      { ...udp6, protocol: 60, extensions: [hopByHop, [44, [0, 0, 48, 0, 0, 0, 9]]] },
      segment.slice(40),
    );
    t.equal(add(reassembly, first), undefined);
    t.same(add(reassembly, last), bytesOf({ ...udp6, extensions: [hopByHop, behind] }));
    t.end();
  },
);

t.test('datagrams do not mix', (t) => {
  const reassembly = new Reassembly({});
  const others: Packet[] = [
    udp4,
    { ...udp4, identification: 1 },
    { ...udp4, source: v4.server },
    { ...udp4, destination: v4.server },
    { ...udp4, protocol: 50, segment: data(96) },
    udp6,
    { ...udp6, source: v6.server },
    { ...udp6, identification: 2 },
  ];
  for (const made of others) t.equal(add(reassembly, part(made, 0, 48)), undefined);
  t.equal(reassembly.size, others.length);
  for (const made of others)
    t.same(
      add(reassembly, part(made, 48, 96)),
      bytesOf(made.family === 6 ? { ...made, identification: 0 } : made),
    );
  t.end();
});

t.test('what overlaps is dropped, what is there already is ignored', (t) => {
  for (const made of [udp4, udp6]) {
    const reassembly = new Reassembly({});
    add(reassembly, part(made, 0, 24));
    add(reassembly, part(made, 24, 48));
    add(reassembly, part(made, 8, 40));
    add(reassembly, part(made, 0, 24));
    t.same(reassembly.dropped, drops({ duplicates: 2 }));
    t.same(add(reassembly, part(made, 48, 96)), bytesOf(made));
    const contradictions: readonly [Uint8Array, Uint8Array][] = [
      [part(made, 0, 24), part(made, 16, 32)],
      [part(made, 16, 32), part(made, 0, 24)],
      [part(made, 16, 32), part(made, 0, 48)],
      [part(made, 16, 32), part(made, 8, 40)],
      [part(made, 48, 96), part({ ...made, segment: data(128) }, 96, 104)],
      [part(made, 48, 96), part(made, 32, 48, 0)],
      [part(made, 48, 64), part(made, 8, 16, 0)],
      [part(made, 48, 64, 0), part(made, 64, 72, 0)],
    ];
    for (const [first, second] of contradictions) {
      const strict = new Reassembly({});
      add(strict, first);
      t.equal(add(strict, second), undefined);
      t.match(strict, { size: 0, bytes: 0, dropped: drops({ overlapping: 1 }) });
    }
  }
  t.end();
});

t.test('a datagram that stays incomplete is forgotten after 30 s, of IPv6 after 60 s', (t) => {
  const reassembly = new Reassembly({});
  add(reassembly, part(udp6, 0, 48), 1000);
  add(reassembly, part(udp4, 0, 48), 1000);
  add(reassembly, part(udp4, 0, 48, MORE, 7), 20_000);
  reassembly.advance(30_999);
  t.equal(reassembly.size, 3);
  t.equal(add(reassembly, part(udp4, 48, 96), 31_000), undefined, 'too late');
  t.match(reassembly, { size: 3, dropped: drops({ expired: 1 }) });
  t.same(add(reassembly, part(udp6, 48, 96), 60_999), bytesOf(udp6));
  t.same(reassembly.dropped, drops({ expired: 2 }));
  reassembly.advance(61_000);
  t.match(reassembly, { size: 0, bytes: 0, dropped: drops({ expired: 3 }) });
  t.end();
});

t.test('DF of the whole is that of its largest fragment', (t) => {
  const cases = [
    [DF, DF, true],
    [0, 0, false],
    [DF, 0, false],
    [0, DF, true],
  ] as const;
  for (const [small, large, expected] of cases) {
    const reassembly = new Reassembly({});
    add(reassembly, part(udp4, 0, 24, MORE | small));
    t.same(add(reassembly, part(udp4, 24, 96, large)), bytesOf({ ...udp4, fragment: expected ? DF : 0 }));
    t.equal(reassembly.largestFragment, 20 + 72);
  }
  t.end();
});

t.test('congestion marks: one CE marks the whole, marks beside none are a contradiction', (t) => {
  for (const made of [udp4, udp6]) {
    const both = (first: number, second: number) => {
      const reassembly = new Reassembly({});
      add(reassembly, part({ ...made, trafficClass: 0xb8 | first }, 0, 24));
      return add(reassembly, part({ ...made, trafficClass: 0xb8 | second }, 24, 96));
    };
    t.same(both(2, 3), bytesOf({ ...made, trafficClass: 0xbb }));
    t.same(both(1, 1), bytesOf({ ...made, trafficClass: 0xb9 }));
    t.same(both(0, 0), bytesOf({ ...made, trafficClass: 0xb8 }));
    t.equal(both(0, 3), undefined);
    t.equal(both(2, 0), undefined);
  }
  t.end();
});

t.test('nothing that is no packet comes out', (t) => {
  const reassembly = new Reassembly({});
  add(reassembly, bytesOf({ ...udp4, fragment: MORE | 8190 }, data(40)));
  t.same(reassembly.dropped, drops({ malformed: 1 }), 'beyond 65535 bytes');
  add(reassembly, bytesOf({ ...udp4, fragment: MORE | 1 }, []));
  add(reassembly, bytesOf({ ...udp6, extensions: [[44, [0, 0, 9, 0, 0, 0, 1]]] }, data(12)));
  t.same(
    reassembly.dropped,
    drops({ malformed: 3 }),
    'an empty one, and one of IPv6 that is no multiple of 8',
  );
  t.equal(reassembly.size, 0);
  const short: Packet = { ...udp4, protocol: TCP, segment: Array<number>(40).fill(0x10) };
  add(reassembly, part(short, 0, 24));
  t.equal(add(reassembly, part(short, 24, 40)), undefined, 'a TCP header of 4 bytes');
  t.same(reassembly.dropped, drops({ malformed: 4 }));
  t.end();
});

t.test('memory is bounded, and the oldest makes room', (t) => {
  const reassembly = new Reassembly({ limitBytes: 100_000 });
  const big: Packet = { ...udp4, segment: udpSegment(1, 2, data(1472)) };
  for (let id = 0; id < 500; id++) {
    const made = id % 2 === 0 ? big : { ...udp6, segment: big.segment };
    add(reassembly, part(made, 0, 1400, MORE, id), id);
    assert.ok(reassembly.bytes <= 100_000);
  }
  t.ok(reassembly.size > 30 && reassembly.size < 70, `${reassembly.size} datagrams`);
  t.equal(reassembly.dropped.evicted, 500 - reassembly.size);
  t.equal(add(reassembly, part(big, 1400, 1480, 0, 100), 500), undefined, 'gone');
  t.same(
    add(reassembly, part(big, 1400, 1480, 0, 498), 500),
    bytesOf({ ...big, identification: 498 }),
    'still there',
  );
  const few = new Reassembly({ datagrams: 3 });
  for (let id = 0; id < 5; id++) add(few, part(udp4, 0, 48, MORE, id), id);
  t.match(few, { size: 3, dropped: drops({ evicted: 2 }) });
  t.end();
});

t.test('cut, cut again, shuffled and repeated, a datagram comes out as it went in', (t) => {
  const scratch = new Uint8Array(4000);
  const cut = (bytes: Uint8Array, mtu: number): Uint8Array[] => {
    const packet = new IpPacket();
    const fragments: Uint8Array[] = [];
    assert.equal(packet.read(bytes, 0, bytes.length), 0);
    fragment(packet, mtu, scratch, 0x1234567, (from, at, length) => {
      fragments.push(from.slice(at, at + length));
    });
    return fragments;
  };
  const shuffles = fc.infiniteStream(fc.nat(1000));
  fc.assert(
    fc.property(
      anyPacket(900),
      fc.integer({ min: 100, max: 600 }),
      fc.integer({ min: 68, max: 300 }),
      shuffles,
      (made, mtu, smaller, order) => {
        const bytes = bytesOf(made);
        const pieces = cut(bytes, mtu).flatMap((piece, i) =>
          i % 2 === 0 && bytes.length > mtu
            ? cut(piece, Math.max(smaller, made.family === 6 ? 140 : 68))
            : [piece],
        );
        if (pieces.length < 2) return;
        const next = (): number => Number(order.next().value);
        const repeated = [...pieces, ...pieces.filter(() => next() % 3 === 0)];
        const shuffled = repeated.map((piece) => [next(), piece] as const).sort(([a], [b]) => a - b);
        const reassembly = new Reassembly({});
        const wholes: Uint8Array[] = [];
        for (const [, piece] of shuffled) {
          const whole = add(reassembly, piece);
          if (whole !== undefined) wholes.push(whole);
        }
        assert.deepEqual(wholes[0], bytes);
        assert.equal(reassembly.dropped.overlapping + reassembly.dropped.malformed, 0);
      },
    ),
    { seed: 7, numRuns: 300 },
  );
  t.end();
});

t.test('the longest datagrams there are', (t) => {
  for (const made of [udp4, udp6]) {
    const most = made.family === 4 ? 65515 : 65535;
    const whole: Packet = { ...made, protocol: 50, segment: data(most) };
    const reassembly = new Reassembly({});
    let result: Uint8Array | undefined;
    for (let at = 0; at < most; at += 8000)
      result = add(reassembly, part(whole, at, Math.min(most, at + 8000)));
    t.equal(result?.length, most + (made.family === 4 ? 20 : 40));
    t.equal(Buffer.compare(result ?? new Uint8Array(0), bytesOf(whole)), 0);
  }
  t.end();
});
