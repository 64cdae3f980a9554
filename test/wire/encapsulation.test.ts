import t from 'tap';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { transportIsValid } from '../../src/wire/checksum.ts';
import type { Outer } from '../../src/wire/encapsulation.ts';
import { encapsulate, overhead } from '../../src/wire/encapsulation.ts';
import { IpPacket } from '../../src/wire/ip-packet.ts';
import {
  anyPacket,
  bytesOf,
  internetChecksum,
  tcpSegment,
  UDP,
  udpSegment,
  v4,
  v6,
  word,
  words,
} from './reference.ts';
import type { Packet } from './reference.ts';

const tcp: Packet = {
  family: 4,
  source: v4.client,
  destination: v4.vip,
  protocol: 6,
  segment: tcpSegment(4321, 80, [1, 2, 3]),
  ttl: 63,
  trafficClass: 0xb9,
  fragment: 0x4000,
  identification: 77,
};
const udp: Packet = {
  family: 6,
  source: v6.client,
  destination: v6.vip,
  protocol: UDP,
  segment: udpSegment(4321, 53, [1]),
  ttl: 7,
  trafficClass: 0x2e,
};
const director = { 4: [10, 9, 0, 1], 6: v6.vip };
const server = { 4: v4.server, 6: v6.server };

function outer(kind: Outer['kind'], family: 4 | 6 = 4, more: Partial<Outer> = {}): Outer {
  return {
    kind,
    family,
    source: words(director[family]),
    destination: words(server[family]),
    port: 6080,
    checksum: false,
    copyDf: true,
    ...more,
  };
}

function wrap(made: Packet, tunnel: Outer): Uint8Array {
  const bytes = bytesOf(made);
  const inner = new IpPacket();
  assert.equal(inner.read(bytes, 0, bytes.length), 0);
  const into = new Uint8Array(bytes.length + 100);
  const length = encapsulate(inner, tunnel, into, 16, 0xabcd);
  assert.equal(length, bytes.length + overhead(tunnel));
  return into.slice(16, 16 + length);
}

/** What the outer packet should be, around `payload`. */
function around(
  made: Packet,
  tunnel: Outer,
  protocol: number,
  payload: readonly number[],
  more: Partial<Packet> = {},
): Packet {
  const { family } = tunnel;
  const { ttl = 0, trafficClass = 0 } = made;
  return {
    family,
    source: director[family],
    destination: server[family],
    protocol,
    segment: payload,
    ttl,
    trafficClass,
    ...more,
  };
}

t.test('IP in IP: TTL, TOS and DF are those of the inner packet', (t) => {
  const inner = [...bytesOf(tcp)];
  const ipip = outer('ipip');
  t.same(wrap(tcp, ipip), bytesOf(around(tcp, ipip, 4, inner, { fragment: 0x4000, identification: 0 })));
  const without = { ...tcp, fragment: 0 };
  const expected = around(tcp, ipip, 4, [...bytesOf(without)], { identification: 0xabcd });
  t.same(wrap(without, ipip), bytesOf(expected), 'without DF it needs an identification');
  const noDf = outer('ipip', 4, { copyDf: false });
  t.same(wrap(tcp, noDf), bytesOf(around(tcp, noDf, 4, inner, { identification: 0xabcd })), 'pmtu_disc off');
  t.end();
});

t.test('IPv6 inside, outside, or both', (t) => {
  const inner = [...bytesOf(udp)];
  t.same(
    wrap(udp, outer('ipip')),
    bytesOf(around(udp, outer('ipip'), 41, inner, { identification: 0xabcd })),
  );
  t.same(wrap(udp, outer('ipip', 6)), bytesOf(around(udp, outer('ipip', 6), 41, inner)));
  t.same(wrap(tcp, outer('ipip', 6)), bytesOf(around(tcp, outer('ipip', 6), 4, [...bytesOf(tcp)])));
  t.end();
});

t.test('GUE: four bytes behind a UDP header', (t) => {
  for (const [made, protocol] of [
    [tcp, 4],
    [udp, 41],
  ] as const) {
    for (const family of [4, 6] as const) {
      for (const checksum of [false, true]) {
        const tunnel = outer('gue', family, { checksum });
        const bytes = wrap(made, tunnel);
        const at = family === 4 ? 20 : 40;
        const port = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
        t.ok(port >= 32768 && port < 61000, `source port ${port}`);
        const inner = bytesOf(made);
        const payload = [
          ...word(port),
          ...word(6080),
          ...word(12 + inner.length),
          0,
          0,
          0,
          protocol,
          0,
          0,
          ...inner,
        ];
        const expected = around(
          made,
          tunnel,
          UDP,
          payload,
          family === 4 ? (made === tcp ? { fragment: 0x4000 } : { identification: 0xabcd }) : {},
        );
        t.same(
          bytes,
          checksum ? bytesOf(expected) : bytesOf(expected, payload),
          `IPv${made.family} in IPv${family}`,
        );
      }
    }
  }
  t.end();
});

t.test('GUE: one flow has one source port, many flows have many', (t) => {
  const portOf = (made: Packet) => [...wrap(made, outer('gue')).slice(20, 22)].join();
  t.equal(portOf(tcp), portOf({ ...tcp, ttl: 3, segment: tcpSegment(4321, 80, [9, 9, 9, 9]) }));
  const clients = Array.from({ length: 500 }, (_, i) =>
    portOf({ ...tcp, segment: tcpSegment(1024 + i, 80) }),
  );
  t.ok(new Set(clients).size > 480, `${new Set(clients).size} of 500`);
  t.end();
});

t.test('GRE, with and without checksum', (t) => {
  for (const [made, type] of [
    [tcp, [8, 0]],
    [udp, [0x86, 0xdd]],
  ] as const) {
    const inner = [...bytesOf(made)];
    const more = made === tcp ? { fragment: 0x4000 } : { identification: 0xabcd };
    const plain = around(made, outer('gre'), 47, [0, 0, ...type, ...inner], more);
    t.same(wrap(made, outer('gre')), bytesOf(plain));
    const sealed = [0x80, 0, ...type, 0, 0, 0, 0, ...inner];
    sealed.splice(4, 2, ...word(internetChecksum(sealed)));
    const tunnel = outer('gre', 4, { checksum: true });
    t.same(wrap(made, tunnel), bytesOf(around(made, tunnel, 47, sealed, more)));
  }
  t.end();
});

t.test('overheads', (t) => {
  const all = [
    outer('ipip'),
    outer('gue'),
    outer('gre'),
    outer('gre', 4, { checksum: true }),
    outer('gue', 6),
  ];
  t.same(all.map(overhead), [20, 32, 24, 28, 52]);
  t.end();
});

t.test('whatever goes in comes out, also when it is moved within its own buffer', (t) => {
  const kinds = fc.record({
    kind: fc.constantFrom<Outer['kind'][]>('ipip', 'gue', 'gre'),
    family: fc.constantFrom<4 | 6>(4, 6),
    checksum: fc.boolean(),
  });
  fc.assert(
    fc.property(
      anyPacket(300),
      kinds,
      fc.constantFrom('apart', 'in place', 'overlapping'),
      (made, { kind, family, checksum }, where) => {
        const tunnel = outer(kind, family, { checksum });
        const inner = bytesOf(made);
        const buffer = new Uint8Array(1024).fill(0xcc);
        buffer.set(inner, 100);
        const packet = new IpPacket();
        packet.read(buffer, 100, inner.length);
        const into = where === 'apart' ? new Uint8Array(1024) : buffer;
        const at = where === 'in place' ? 100 - overhead(tunnel) : 40;
        const length = encapsulate(packet, tunnel, into, at, 5);
        const whole = new IpPacket();
        assert.equal(whole.read(into, at, length), 0);
        assert.ok(transportIsValid(whole) || (kind === 'gue' && family === 6 && !checksum));
        assert.deepEqual(into.slice(at + overhead(tunnel), at + length), inner);
        assert.equal(packet.read(into, at + overhead(tunnel), inner.length), 0);
      },
    ),
    { seed: 6, numRuns: 300 },
  );
  t.end();
});

t.test('a packet that would become longer than 65535 bytes is not written', (t) => {
  const bytes = bytesOf({ ...tcp, segment: tcpSegment(1, 2, Array<number>(65535 - 40 - 10).fill(0)) });
  const inner = new IpPacket();
  inner.read(bytes, 0, bytes.length);
  const into = new Uint8Array(70000);
  t.equal(encapsulate(inner, outer('ipip'), into, 0, 1), 0);
  t.ok(into.every((byte) => byte === 0));
  t.equal(
    encapsulate(inner, outer('ipip', 6), into, 0, 1),
    bytes.length + 40,
    'IPv6 counts its payload only',
  );
  t.end();
});
