import t from 'tap';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { IpPacket } from '../../src/wire/ip-packet.ts';
import { decrementTtl, rewriteDestination, rewriteSource } from '../../src/wire/rewrite.ts';
import {
  address,
  anyPacket,
  bytesOf,
  sealed,
  SCTP,
  TCP,
  tcpSegment,
  UDP,
  udpSegment,
  v4,
  word,
  words,
} from './reference.ts';
import type { Packet } from './reference.ts';

const ports = fc.oneof(fc.constantFrom(0, 0xffff), fc.nat(0xffff));
const change = anyPacket().chain((made) =>
  fc.tuple(fc.constant(made), address(made.family), ports, fc.nat(9)),
);

function withPort(made: Packet, at: 0 | 2, port: number): Packet {
  if (![TCP, UDP, SCTP].includes(made.protocol)) return made;
  return { ...made, segment: made.segment.toSpliced(at, 2, ...word(port)) };
}

function fields({ ttl, length, transport, protocol, sourcePort, destinationPort }: IpPacket): unknown {
  return { ttl, length, transport, protocol, sourcePort, destinationPort };
}

t.test(
  'a rewritten packet is, byte for byte, the one that its new addresses and ports would have made',
  (t) => {
    fc.assert(
      fc.property(change, fc.boolean(), ([made, to, port, at], isSource) => {
        const bytes = bytesOf(made);
        const buffer = new Uint8Array(at + bytes.length + 2).fill(0x5a);
        buffer.set(bytes, at);
        const packet = new IpPacket();
        packet.read(buffer, at, bytes.length);
        (isSource ? rewriteSource : rewriteDestination)(packet, words(to), port);
        decrementTtl(packet);
        const changed = { ...withPort(made, isSource ? 0 : 2, port), ttl: (made.ttl ?? 64) - 1 };
        const expected = bytesOf(isSource ? { ...changed, source: to } : { ...changed, destination: to });
        assert.deepEqual(buffer.slice(at, at + bytes.length), expected);
        assert.deepEqual([...buffer.subarray(at + bytes.length)], [0x5a, 0x5a]);
        const again = new IpPacket();
        again.read(buffer, at, bytes.length);
        assert.deepEqual(fields(packet), fields(again), 'its fields stay right');
      }),
      { seed: 4, numRuns: 1500 },
    );
    t.end();
  },
);

t.test('there and back is the identity, also for a wrong checksum', (t) => {
  fc.assert(
    fc.property(change, fc.nat(0xfffe), ([made, to, port], junk) => {
      if (made.protocol === SCTP || (made.protocol === UDP && junk === 0)) return;
      const offset = { 6: 16, 17: 6, 1: 2, 58: 2 }[made.protocol];
      const segment = offset === undefined ? made.segment : made.segment.toSpliced(offset, 2, ...word(junk));
      const bytes = bytesOf(made, segment);
      const before = bytes.slice();
      const packet = new IpPacket();
      packet.read(bytes, 0, bytes.length);
      const own = packet.destinationPort;
      rewriteDestination(packet, words(to), port);
      rewriteDestination(packet, words(made.destination), own);
      assert.deepEqual(bytes, before);
    }),
    { seed: 5, numRuns: 500 },
  );
  t.end();
});

t.test('UDP without checksum stays without; one that becomes 0 is written as 0xffff', (t) => {
  const made: Packet = {
    family: 4,
    source: v4.client,
    destination: v4.vip,
    protocol: UDP,
    segment: udpSegment(9, 53, [1]),
  };
  const none = bytesOf(made, made.segment);
  const packet = new IpPacket();
  packet.read(none, 0, none.length);
  rewriteDestination(packet, words(v4.server), 5353);
  t.same(none.slice(26, 28), [0, 0]);
  // the port that makes the sum 0xffff
  const [high = 0, low = 0] = sealed({ ...made, segment: udpSegment(9, 0, [1]) }).slice(6, 8);
  const port = (high << 8) | low;
  const bytes = bytesOf(made);
  packet.read(bytes, 0, bytes.length);
  rewriteDestination(packet, words(v4.vip), port);
  t.same(bytes.slice(26, 28), [0xff, 0xff]);
  rewriteDestination(packet, words(v4.vip), 53);
  t.same(bytes, bytesOf(made), 'and from 0xffff back');
  t.end();
});

t.test('of fragments the first has ports and checksum, the others only addresses', (t) => {
  const made: Packet = {
    family: 4,
    source: v4.client,
    destination: v4.vip,
    protocol: UDP,
    segment: udpSegment(9, 53, [1, 2, 3, 4, 5, 6, 7, 8]),
  };
  const translated: Packet = {
    ...made,
    destination: v4.server,
    segment: udpSegment(9, 5353, [1, 2, 3, 4, 5, 6, 7, 8]),
  };
  for (const [fragment, from, to] of [
    [0x2000, 0, 8],
    [0x0001, 8, 16],
  ] as const) {
    const bytes = bytesOf({ ...made, fragment }, sealed(made).slice(from, to));
    const packet = new IpPacket();
    packet.read(bytes, 0, bytes.length);
    rewriteDestination(packet, words(v4.server), 5353);
    t.same(bytes, bytesOf({ ...translated, fragment }, sealed(translated).slice(from, to)), `offset ${from}`);
  }
  t.end();
});

t.test(
  'a first fragment without the checksum, and a quoted packet, are changed no further than they go',
  (t) => {
    const made: Packet = {
      family: 4,
      source: v4.client,
      destination: v4.vip,
      protocol: TCP,
      segment: tcpSegment(9, 80),
    };
    const moved: Packet = { ...made, source: v4.server, segment: tcpSegment(99, 80) };
    const short = bytesOf({ ...made, fragment: 0x2000 }, made.segment.slice(0, 8));
    const buffer = new Uint8Array(60).fill(7);
    buffer.set(short);
    const packet = new IpPacket();
    t.equal(packet.read(buffer, 0, short.length), 0);
    rewriteSource(packet, words(v4.server), 99);
    t.same(buffer.subarray(0, 28), bytesOf({ ...moved, fragment: 0x2000 }, moved.segment.slice(0, 8)));
    t.same(buffer.subarray(28), Array<number>(32).fill(7));
    const quoted = bytesOf(made);
    t.equal(packet.readQuoted(quoted, 0, quoted.length), 0);
    rewriteSource(packet, words(v4.server), 99);
    t.same(
      quoted,
      bytesOf(moved, sealed(made).toSpliced(0, 2, 0, 99)),
      "IPVS leaves a quoted packet's transport checksum",
    );
    t.end();
  },
);
