import t from 'tap';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { crc32c } from '../../src/wire/crc32c.ts';
import {
  adjust,
  completeChecksum,
  fold,
  hasPartialChecksum,
  sum,
  transportChecksum,
  transportIsValid,
} from '../../src/wire/checksum.ts';
import { IpPacket } from '../../src/wire/ip-packet.ts';
import {
  anyPacket,
  bytesOf,
  internetChecksum,
  pseudoHeader,
  sealed,
  tcpSegment,
  UDP,
  udpSegment,
  v4,
  v6,
  word,
} from './reference.ts';
import type { Packet } from './reference.ts';

t.test('examples of the RFCs', (t) => {
  const rfc1071 = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  t.equal(fold(sum(rfc1071, 0, 8)), 0xddf2, 'RFC 1071, section 3');
  t.equal(fold(0x1ffff), 1, 'a carry out of the carry');
  t.equal(adjust(0xdd2f, 0x5555, 0x3285), 0x0000, 'RFC 1624, section 4: equation 3 says 0, not 0xffff');
  t.equal(crc32c(Uint8Array.from(Buffer.from('123456789')), 0, 9), 0xe3069283, 'CRC-32C check value');
  t.equal(crc32c(new Uint8Array(32), 0, 32), 0x8a9136aa, 'RFC 3720, appendix B.4: 32 zeros');
  t.end();
});

t.test('sums of any length, at any place, in parts', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(255), { maxLength: 100 }), fc.nat(9), fc.nat(50), (bytes, at, cut) => {
      const array = Uint8Array.from([...Array<number>(at).fill(0xee), ...bytes, 0xee]);
      const even = Math.min(2 * cut, bytes.length);
      const parts = sum(array, at + even, bytes.length - even, sum(array, at, even));
      const whole = ~internetChecksum(bytes) & 0xffff;
      return fold(sum(array, at, bytes.length)) === whole && fold(parts) === whole;
    }),
    { seed: 2 },
  );
  const longest = new Uint8Array(65535).fill(255);
  t.equal(fold(sum(longest, 0, 65535, 0xffffffff)), ~internetChecksum([...longest]) & 0xffff, 'no overflow');
  t.end();
});

function read(bytes: Uint8Array): IpPacket {
  const packet = new IpPacket();
  assert.equal(packet.read(bytes, 0, bytes.length), 0);
  return packet;
}

t.test('transport checksums are those of the slow way', (t) => {
  fc.assert(
    fc.property(anyPacket(), fc.nat(0xffff), (made, junk) => {
      const bytes = bytesOf(made);
      const packet = read(bytes);
      if (!transportIsValid(packet)) return false;
      const offset = { 6: 16, 17: 6, 1: 2, 58: 2 }[made.protocol];
      if (offset === undefined) return transportChecksum(packet) === 0;
      const right = bytes.slice();
      bytes.set(word(junk), packet.transport + offset);
      assert.equal(
        transportChecksum(packet),
        ((right[packet.transport + offset] ?? 0) << 8) | (right[packet.transport + offset + 1] ?? 0),
      );
      completeChecksum(packet);
      return Buffer.compare(bytes, right) === 0;
    }),
    { seed: 3, numRuns: 300 },
  );
  t.end();
});

t.test(
  'UDP: no checksum is fine over IPv4 only, a checksum of 0 is sent as 0xffff, padding does not count',
  (t) => {
    const none = udpSegment(1, 2, [3]);
    t.ok(
      transportIsValid(
        read(
          bytesOf({ family: 4, source: v4.client, destination: v4.vip, protocol: UDP, segment: [] }, none),
        ),
      ),
    );
    t.notOk(
      transportIsValid(
        read(
          bytesOf({ family: 6, source: v6.client, destination: v6.vip, protocol: UDP, segment: [] }, none),
        ),
      ),
    );
    const base: Packet = {
      family: 4,
      source: v4.client,
      destination: v4.vip,
      protocol: UDP,
      segment: udpSegment(1, 2, [0, 0]),
    };
    const checksum = sealed(base).slice(6, 8);
    const zero = read(bytesOf({ ...base, segment: udpSegment(1, 2, [...checksum]) }));
    t.equal(transportChecksum(zero), 0xffff);
    t.ok(transportIsValid(zero));
    const padded = read(bytesOf(base, [...sealed(base), 0xde, 0xad]));
    t.ok(transportIsValid(padded));
    t.equal(transportChecksum(padded), ((checksum[0] ?? 0) << 8) | (checksum[1] ?? 0));
    t.end();
  },
);

t.test('a wrong checksum is seen, and one that was left to the network card is told apart', (t) => {
  for (const made of [
    {
      family: 4,
      source: v4.client,
      destination: v4.vip,
      protocol: 6,
      segment: tcpSegment(1000, 80, [1, 2, 3]),
    },
    {
      family: 6,
      source: v6.client,
      destination: v6.vip,
      protocol: 17,
      segment: udpSegment(1000, 53, [1, 2, 3]),
    },
  ] satisfies Packet[]) {
    const wrong = read(bytesOf(made, sealed(made).with(-1, 77)));
    t.notOk(transportIsValid(wrong));
    t.notOk(hasPartialChecksum(wrong));
    const offset = made.protocol === 6 ? 16 : 6;
    const pseudo = ~internetChecksum(pseudoHeader(made, made.segment.length)) & 0xffff;
    const left = read(bytesOf(made, made.segment.toSpliced(offset, 2, ...word(pseudo))));
    t.ok(hasPartialChecksum(left));
    t.notOk(transportIsValid(left));
    completeChecksum(left);
    t.same(left.bytes, bytesOf(made));
  }
  t.end();
});
