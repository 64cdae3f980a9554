import t from 'tap';
import { transportIsValid } from '../../src/wire/checksum.ts';
import { IcmpType, isIcmpError, writeIcmpError } from '../../src/wire/icmp.ts';
import { Icmpv6Type, isIcmpv6Error } from '../../src/wire/icmpv6.ts';
import { IpPacket } from '../../src/wire/ip-packet.ts';
import {
  bytesOf,
  embedded,
  internetChecksum,
  pseudoHeader,
  tcpSegment,
  UDP,
  udpSegment,
  v4,
  v6,
  word,
  words,
} from './reference.ts';
import type { Packet } from './reference.ts';

/** @returns the error about a packet that lies at byte 14 of a buffer, written to byte 30 of another */
function errorAbout(
  bytes: Uint8Array,
  source: number[],
  type: number,
  code: number,
  rest: number,
): Uint8Array {
  const about = new IpPacket();
  t.equal(about.read(embedded(bytes, 14), 14, bytes.length), 0);
  const into = new Uint8Array(2000).fill(0x77);
  const length = writeIcmpError(into, 30, about, words(source), type, code, rest, 0x1234);
  t.ok(
    into.subarray(30 + length).every((byte) => byte === 0x77),
    'and nothing behind it',
  );
  return into.slice(30, 30 + length);
}

t.test('fragmentation needed, quoting as much as fits into 576 bytes', (t) => {
  const data = Array.from({ length: 1400 }, (_, i) => i & 0xff);
  const about: Packet = {
    family: 4,
    source: v4.client,
    destination: v4.vip,
    protocol: 6,
    segment: tcpSegment(1, 80, data),
    trafficClass: 0xb9,
    fragment: 0x4000,
  };
  const error = errorAbout(bytesOf(about), v4.vip, IcmpType.unreachable, 4, 1480);
  const quote = [...bytesOf(about)].slice(0, 576 - 28);
  const message = [3, 4, 0, 0, 0, 0, ...word(1480), ...quote];
  t.same(
    error,
    bytesOf({
      family: 4,
      source: v4.vip,
      destination: v4.client,
      protocol: 1,
      segment: message,
      trafficClass: 0xd8,
      identification: 0x1234,
    }),
  );
  t.equal(error.length, 576);
  t.end();
});

t.test('port unreachable, quoting a short packet whole', (t) => {
  const about: Packet = {
    family: 4,
    source: v4.client,
    destination: v4.vip,
    protocol: UDP,
    segment: udpSegment(1, 53, [1, 2, 3]),
    trafficClass: 0,
  };
  const error = errorAbout(bytesOf(about), v4.vip, IcmpType.unreachable, 3, 0);
  const message = [3, 3, 0, 0, 0, 0, 0, 0, ...bytesOf(about)];
  t.same(
    error,
    bytesOf({
      family: 4,
      source: v4.vip,
      destination: v4.client,
      protocol: 1,
      segment: message,
      trafficClass: 0xc0,
      identification: 0x1234,
    }),
  );
  t.end();
});

t.test('packet too big, at most 1280 bytes', (t) => {
  for (const length of [10, 1400]) {
    const about: Packet = {
      family: 6,
      source: v6.client,
      destination: v6.vip,
      protocol: 6,
      segment: tcpSegment(1, 80, Array<number>(length).fill(3)),
      trafficClass: 0xff,
    };
    const error = errorAbout(bytesOf(about), v6.server, Icmpv6Type.packetTooBig, 0, 1_000_000);
    const quote = [...bytesOf(about)].slice(0, 1280 - 48);
    const message = [2, 0, 0, 0, 0, 0x0f, 0x42, 0x40, ...quote];
    const expected: Packet = {
      family: 6,
      source: v6.server,
      destination: v6.client,
      protocol: 58,
      segment: message,
    };
    t.same(error, bytesOf(expected));
    const checksum = internetChecksum([...pseudoHeader(expected, message.length), ...error.slice(40)]);
    t.equal(checksum, 0, 'which adds up');
    const packet = new IpPacket();
    t.equal(packet.read(error, 0, error.length), 0);
    t.ok(transportIsValid(packet));
    t.equal(packet.icmpType, Icmpv6Type.packetTooBig);
  }
  t.end();
});

t.test('which messages are errors', (t) => {
  const errors = (isError: (type: number) => boolean) =>
    Array.from({ length: 256 }, (_, i) => i).filter(isError);
  t.same(errors(isIcmpError), [3, 4, 5, 11, 12]);
  t.same(errors(isIcmpv6Error), [...Array(128).keys()]);
  t.end();
});
