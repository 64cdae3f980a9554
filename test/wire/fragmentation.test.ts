import t from 'tap';
import { fragment } from '../../src/wire/fragmentation.ts';
import { IpPacket } from '../../src/wire/ip-packet.ts';
import { bytesOf, sealed, tcpSegment, UDP, udpSegment, v4, v6 } from './reference.ts';
import type { Packet } from './reference.ts';

const data = (length: number) => Array.from({ length }, (_, i) => (i * 7) & 0xff);
const scratch = new Uint8Array(4000);

/** @returns copies of the fragments */
function cut(bytes: Uint8Array, mtu: number, identification = 0xdeadbeef): Uint8Array[] {
  const packet = new IpPacket();
  t.equal(packet.read(bytes, 0, bytes.length), 0);
  const fragments: Uint8Array[] = [];
  fragment(packet, mtu, scratch, identification, (from, at, length) => {
    fragments.push(from.slice(at, at + length));
  });
  return fragments;
}

const udp4: Packet = {
  family: 4,
  source: v4.client,
  destination: v4.vip,
  protocol: UDP,
  segment: udpSegment(1, 53, data(3000)),
  identification: 0x4242,
  ttl: 9,
  trafficClass: 4,
};

t.test('3008 bytes of UDP through an MTU of 1500', (t) => {
  const segment = sealed(udp4);
  t.same(cut(bytesOf(udp4), 1500), [
    bytesOf({ ...udp4, fragment: 0x2000 }, segment.slice(0, 1480)),
    bytesOf({ ...udp4, fragment: 0x2000 | 185 }, segment.slice(1480, 2960)),
    bytesOf({ ...udp4, fragment: 370 }, segment.slice(2960)),
  ]);
  t.same(cut(bytesOf(udp4), 3028), [bytesOf(udp4)], 'what fits stays whole');
  t.equal(cut(bytesOf(udp4), 3027).length, 2);
  t.end();
});

t.test('fragments are multiples of 8 bytes whatever the MTU, and keep DF', (t) => {
  const made: Packet = { ...udp4, fragment: 0x4000, segment: udpSegment(1, 2, data(100)) };
  const segment = sealed(made);
  t.same(cut(bytesOf(made), 83), [
    bytesOf({ ...made, fragment: 0x6000 }, segment.slice(0, 56)),
    bytesOf({ ...made, fragment: 0x4000 | 7 }, segment.slice(56)),
  ]);
  t.end();
});

t.test('a fragment is cut again: offsets go on, and more fragments follow', (t) => {
  const piece: Packet = { ...udp4, fragment: 0x2000 | 100, segment: data(64) };
  t.same(cut(bytesOf(piece, data(64)), 60), [
    bytesOf({ ...piece, fragment: 0x2000 | 100 }, data(64).slice(0, 40)),
    bytesOf({ ...piece, fragment: 0x2000 | 105 }, data(64).slice(40)),
  ]);
  t.end();
});

t.test('options without the copied flag are in the first fragment only', (t) => {
  const route = [0x83, 7, 4, 10, 0, 0, 1];
  const made: Packet = { ...udp4, segment: udpSegment(1, 2, data(80)), options: [7, 3, 4, ...route, 1, 0] };
  const segment = sealed(made);
  t.same(cut(bytesOf(made), 84), [
    bytesOf({ ...made, fragment: 0x2000 }, segment.slice(0, 48)),
    bytesOf({ ...made, fragment: 6, options: [1, 1, 1, ...route, 1, 0] }, segment.slice(48)),
  ]);
  t.end();
});

t.test('IPv6: a fragment header behind what every router must see', (t) => {
  const hopByHop = [0, [0, 1, 4, 0, 0, 0, 0]] as const;
  const options = [60, [0, 1, 4, 0, 0, 0, 0]] as const;
  const routing = [43, [0, 3, 0, 0, 0, 0, 0]] as const;
  const base: Packet = {
    family: 6,
    source: v6.client,
    destination: v6.vip,
    protocol: 6,
    segment: tcpSegment(1, 80, data(1400)),
    ttl: 60,
  };
  const segment = sealed(base);
  const header = (offset: number, more: number) =>
    [44, [0, offset >> 8, (offset & 0xff) | more, 0xde, 0xad, 0xbe, 0xef]] as const;
  const plain = bytesOf(base);
  t.same(cut(plain, 1280), [
    bytesOf({ ...base, extensions: [header(0, 1)] }, segment.slice(0, 1232)),
    bytesOf({ ...base, extensions: [header(1232, 0)] }, segment.slice(1232)),
  ]);
  t.same(cut(bytesOf({ ...base, extensions: [hopByHop, options, routing] }), 1280), [
    bytesOf({ ...base, extensions: [hopByHop, options, routing, header(0, 1)] }, segment.slice(0, 1208)),
    bytesOf({ ...base, extensions: [hopByHop, options, routing, header(1208, 0)] }, segment.slice(1208)),
  ]);
  const [first, second] = cut(bytesOf({ ...base, extensions: [hopByHop, options] }), 1280);
  t.same(first, bytesOf({ ...base, extensions: [hopByHop, header(0, 1), options] }, segment.slice(0, 1216)));
  const behind = { ...base, protocol: 60, extensions: [hopByHop, header(1224, 0)] };
  t.same(second, bytesOf(behind, segment.slice(1216)), 'the options behind are part of what is cut');
  t.end();
});

t.test('IPv6: a fragment that is cut again keeps its identification', (t) => {
  const base: Packet = {
    family: 6,
    source: v6.client,
    destination: v6.vip,
    protocol: UDP,
    segment: [],
    ttl: 60,
  };
  const header = (offset: number, more: number) =>
    [44, [0, offset >> 8, (offset & 0xff) | more, 0, 0, 0, 7]] as const;
  t.same(cut(bytesOf({ ...base, extensions: [header(800, 1)] }, data(1400)), 1280), [
    bytesOf({ ...base, extensions: [header(800, 1)] }, data(1400).slice(0, 1232)),
    bytesOf({ ...base, extensions: [header(2032, 1)] }, data(1400).slice(1232)),
  ]);
  t.end();
});
