import t from 'tap';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { IpPacket, Malformed } from '../../src/wire/ip-packet.ts';
import {
  anyPacket,
  bytesOf,
  embedded,
  SCTP,
  TCP,
  tcpSegment,
  UDP,
  udpSegment,
  v4,
  v6,
  words,
} from './reference.ts';
import type { Packet } from './reference.ts';

const tcp4: Packet = {
  family: 4,
  source: v4.client,
  destination: v4.vip,
  protocol: TCP,
  segment: tcpSegment(4321, 80, [1, 2, 3], 2),
};
const udp6: Packet = {
  family: 6,
  source: v6.client,
  destination: v6.vip,
  protocol: UDP,
  segment: udpSegment(5353, 53, [9]),
};

function readAt(bytes: Uint8Array, at = 14): [IpPacket, number] {
  const packet = new IpPacket();
  return [packet, packet.read(embedded(bytes, at), at, bytes.length)];
}

t.test('a TCP segment over IPv4 with options, padded by the frame', (t) => {
  const bytes = bytesOf({
    ...tcp4,
    options: [1, 1, 1, 0],
    ttl: 9,
    trafficClass: 0xb8,
    identification: 0xbeef,
    fragment: 0x4000,
  });
  const packet = new IpPacket();
  t.equal(packet.read(embedded(bytes, 14), 14, bytes.length + 6), Malformed.none);
  t.match(packet, {
    family: 4,
    at: 14,
    length: bytes.length,
    headerLength: 24,
    transport: 38,
    protocol: TCP,
  });
  t.match(packet, {
    ttl: 9,
    trafficClass: 0xb8,
    identification: 0xbeef,
    dontFragment: true,
    isFragment: false,
  });
  t.match(packet, { sourcePort: 4321, destinationPort: 80, tcpFlags: 2, hasPorts: true, icmpType: -1 });
  t.same(
    [0, 1, 2, 3].map((i) => packet.sourceWord(i)),
    [...words(v4.client)],
  );
  const destination = new Int32Array(4).fill(7);
  packet.copyDestination(destination);
  t.same(destination, words(v4.vip));
  t.end();
});

t.test('UDP over IPv6 behind hop-by-hop, destination, routing and fragment headers', (t) => {
  const extensions: Packet['extensions'] = [
    [0, [0, 1, 4, 0, 0, 0, 0]],
    [60, [1, 1, 12, ...Array<number>(12).fill(0)]],
    [43, [0, 3, 0, 0, 0, 0, 0]],
    [44, [0, 0, 0, 0xde, 0xad, 0xbe, 0xef]],
  ];
  const [packet, malformed] = readAt(bytesOf({ ...udp6, extensions, trafficClass: 0x2e, ttl: 3 }), 18);
  t.equal(malformed, Malformed.none);
  t.match(packet, { family: 6, headerLength: 80, transport: 98, protocol: UDP, ttl: 3, trafficClass: 0x2e });
  t.match(packet, {
    sourcePort: 5353,
    destinationPort: 53,
    fragmentHeader: 18 + 72,
    identification: 0xdeadbeef | 0,
  });
  t.match(
    packet,
    { isFragment: false, dontFragment: true },
    'a fragment header on a whole datagram makes no fragment',
  );
  t.same(
    [0, 1, 2, 3].map((i) => packet.destinationWord(i)),
    [...words(v6.vip)],
  );
  t.end();
});

t.test('fragments: the first has ports, the others have none', (t) => {
  const first = bytesOf({ ...tcp4, fragment: 0x2000 }, tcpSegment(4321, 80).slice(0, 8));
  const [one, malformed] = readAt(first);
  t.equal(malformed, Malformed.none, 'eight bytes of transport header are enough');
  t.match(one, { moreFragments: true, fragmentOffset: 0, sourcePort: 4321, tcpFlags: 0, isFragment: true });
  const [later] = readAt(bytesOf({ ...tcp4, fragment: 0x2000 | 185 }, [1, 2]));
  t.match(later, {
    fragmentOffset: 1480,
    sourcePort: 0,
    destinationPort: 0,
    tcpFlags: 0,
    isFragment: true,
    protocol: TCP,
  });
  const [six] = readAt(bytesOf({ ...udp6, extensions: [[44, [0, 0x05, 0xa9, 0, 0, 0, 7]]] }, [1, 2, 3]));
  t.match(six, {
    fragmentOffset: 1448,
    moreFragments: true,
    protocol: UDP,
    headerLength: 48,
    sourcePort: 0,
    identification: 7,
  });
  const [behind, fine] = readAt(
    bytesOf({ ...udp6, protocol: 60, extensions: [[44, [0, 0, 8, 0, 0, 0, 7]]] }, [17, 99]),
  );
  t.equal(fine, Malformed.none, 'what follows is no header, though it is called so');
  t.match(behind, { protocol: 60, headerLength: 48, hasPorts: false });
  t.end();
});

t.test('what is no packet is refused, and why', (t) => {
  const good = [...bytesOf(tcp4)];
  const changed = (at: number, ...values: number[]) =>
    Uint8Array.from(good.toSpliced(at, values.length, ...values));
  const six = (extensions: Packet['extensions'], segment?: readonly number[]) =>
    segment === undefined
      ? bytesOf({ ...udp6, extensions: extensions ?? [] })
      : bytesOf({ ...udp6, extensions: extensions ?? [] }, segment);
  const cases: readonly [string, Uint8Array, keyof typeof Malformed][] = [
    ['nothing', new Uint8Array(0), 'truncated'],
    ['half a header', bytesOf(tcp4).slice(0, 19), 'truncated'],
    ['half an IPv6 header', bytesOf(udp6).slice(0, 39), 'truncated'],
    ['less than it says', bytesOf(tcp4).slice(0, -1), 'truncated'],
    ['less than it says (IPv6)', bytesOf(udp6).slice(0, -1), 'truncated'],
    ['version 5', changed(0, 0x55), 'version'],
    ['a header of 16 bytes', changed(0, 0x44), 'headerLength'],
    ['a wrong header checksum', changed(8, 63), 'headerChecksum'],
    ['shorter than its header', changed(2, 0, 19), 'totalLength'],
    ['a TCP header of 16 bytes', bytesOf({ ...tcp4, segment: tcpSegment(1, 2).with(12, 0x40) }), 'transport'],
    [
      'a TCP header longer than the packet',
      bytesOf({ ...tcp4, segment: tcpSegment(1, 2).with(12, 0x60) }),
      'transport',
    ],
    ['19 bytes of TCP', bytesOf(tcp4, tcpSegment(1, 2).slice(0, 19)), 'transport'],
    [
      'a UDP length beyond the packet',
      bytesOf({ ...udp6, segment: udpSegment(1, 2).with(5, 9) }),
      'transport',
    ],
    ['a UDP length of 7', bytesOf({ ...udp6, segment: udpSegment(1, 2).with(5, 7) }), 'transport'],
    ['7 bytes of ICMP', bytesOf({ ...tcp4, protocol: 1 }, [8, 0, 0, 0, 0, 0, 0]), 'transport'],
    ['7 bytes of ICMPv6', bytesOf({ ...udp6, protocol: 58 }, [128, 0, 0, 0, 0, 0, 0]), 'transport'],
    ['11 bytes of SCTP', bytesOf({ ...tcp4, protocol: SCTP }, Array<number>(11).fill(0)), 'transport'],
    [
      'a first fragment with 7 bytes',
      bytesOf({ ...tcp4, fragment: 0x2000 }, tcpSegment(1, 2).slice(0, 7)),
      'transport',
    ],
    [
      'hop-by-hop options that are not first',
      six([
        [60, [0, 0, 0, 0, 0, 0, 0]],
        [0, [0, 0, 0, 0, 0, 0, 0]],
      ]),
      'extensionHeaders',
    ],
    [
      'two fragment headers',
      six([
        [44, [0, 0, 0, 0, 0, 0, 1]],
        [44, [0, 0, 0, 0, 0, 0, 1]],
      ]),
      'extensionHeaders',
    ],
    ['a routing header with segments left', six([[43, [0, 0, 1, 0, 0, 0, 0]]]), 'extensionHeaders'],
    ['an options header beyond the packet', six([[60, [9, 0, 0, 0, 0, 0, 0]]]), 'extensionHeaders'],
    [
      'a first fragment without all headers',
      six(
        [
          [44, [0, 0, 1, 0, 0, 0, 1]],
          [60, [1]],
        ],
        [],
      ),
      'extensionHeaders',
    ],
    [
      'nine extension headers',
      six(Array<[number, number[]]>(9).fill([60, [0, 0, 0, 0, 0, 0, 0]])),
      'extensionHeaders',
    ],
  ];
  for (const [name, bytes, why] of cases) t.equal(readAt(bytes)[1], Malformed[why], name);
  t.equal(
    readAt(six(Array<[number, number[]]>(8).fill([60, [0, 0, 0, 0, 0, 0, 0]])))[1],
    Malformed.none,
    'eight are fine',
  );
  t.end();
});

t.test('a quoted packet may be cut, and its header checksum be stale', (t) => {
  const packet = new IpPacket();
  const bytes = bytesOf(tcp4);
  bytes[8] = 1;
  t.equal(packet.readQuoted(bytes, 0, 28), Malformed.none);
  t.match(packet, { length: 28, sourcePort: 4321, destinationPort: 80, tcpFlags: 0, quoted: true });
  t.equal(packet.readQuoted(bytes, 0, 27), Malformed.transport);
  t.equal(packet.readQuoted(bytes, 0, 19), Malformed.truncated);
  const six = bytesOf(udp6);
  t.equal(packet.readQuoted(six, 0, 48), Malformed.none);
  t.match(packet, { length: 48, sourcePort: 5353, destinationPort: 53 });
  t.equal(packet.read(bytesOf(tcp4), 0, 100), Malformed.none);
  t.equal(packet.quoted, false);
  t.end();
});

t.test('every valid packet reads as it was made, and none of its beginnings does', (t) => {
  fc.assert(
    fc.property(anyPacket(), fc.nat(20), (made, at) => {
      const bytes = bytesOf(made);
      const buffer = embedded(bytes, at);
      const packet = new IpPacket();
      for (let available = 0; available < bytes.length; available++) {
        if (packet.read(buffer, at, available) === Malformed.none) return false;
      }
      if (packet.read(buffer, at, bytes.length) !== Malformed.none) return false;
      const source = new Int32Array(4);
      packet.copySource(source);
      assert.deepEqual(source, words(made.source));
      const { protocol, ttl, trafficClass, length } = packet;
      assert.deepEqual([protocol, ttl, trafficClass], [made.protocol, made.ttl, made.trafficClass]);
      assert.equal(length, bytes.length);
      assert.equal(packet.headerLength, bytes.length - made.segment.length);
      return true;
    }),
    { numRuns: 150, seed: 1 },
  );
  t.end();
});
