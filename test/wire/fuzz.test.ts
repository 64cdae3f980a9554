/**
 * Nothing that arrives makes a view throw, or look beyond the bytes that it may look at: the packets lie at the end of an
 * array that complains when it is read outside of what is allowed.
 */
import t from 'tap';
import fc from 'fast-check';
import { Reassembly } from '../../src/engines/packet/forwarding/reassembly.ts';
import { ArpPacket } from '../../src/wire/arp.ts';
import {
  completeChecksum,
  hasPartialChecksum,
  transportChecksum,
  transportIsValid,
} from '../../src/wire/checksum.ts';
import { encapsulate } from '../../src/wire/encapsulation.ts';
import { EthernetFrame } from '../../src/wire/ethernet.ts';
import { fragment } from '../../src/wire/fragmentation.ts';
import { writeIcmpError } from '../../src/wire/icmp.ts';
import { IpPacket } from '../../src/wire/ip-packet.ts';
import { NeighbourMessage } from '../../src/wire/neighbour-discovery.ts';
import { decrementTtl, rewriteDestination, rewriteSource } from '../../src/wire/rewrite.ts';
import { anyPacket, bytesOf, v6, word, words } from './reference.ts';
import type { Packet } from './reference.ts';

/** Reads and writes below `from` or from `to` on are noted. */
class Guarded {
  from = 0;
  to = 0;
  trespasses: string[] = [];
  readonly bytes: Uint8Array;
  constructor(target: Uint8Array) {
    const check = (name: string | symbol): void => {
      if (typeof name !== 'string' || !/^-?\d+$/.test(name)) return;
      const at = Number(name);
      if (at < this.from || at >= this.to) this.trespasses.push(`${at} is not in ${this.from}..${this.to}`);
    };
    const subarray = (from: number, to: number): Uint8Array => {
      if (from < this.from || to > this.to)
        this.trespasses.push(`${from}..${to}, not ${this.from}..${this.to}`);
      return target.subarray(from, to);
    };
    this.bytes = new Proxy(target, {
      get: (array, name) => {
        check(name);
        if (name === 'subarray') return subarray;
        const value: unknown = Reflect.get(array, name, array);
        return typeof value === 'function' ? (value as (...a: unknown[]) => unknown).bind(array) : value;
      },
      set: (array, name, value) => {
        check(name);
        return Reflect.set(array, name, value, array);
      },
    });
  }
}

const scratch = new Uint8Array(70_000);
const into = new Uint8Array(70_000);
const outer = {
  kind: 'gue',
  family: 4,
  source: words(v6.vip),
  destination: words(v6.vip),
  port: 1,
  checksum: true,
  copyDf: true,
} as const;
const address = words(v6.server);
const packet = new IpPacket();
const message = new NeighbourMessage();
const arp = new ArpPacket();
const frame = new EthernetFrame();
const reassembly = new Reassembly({ limitBytes: 100_000 });
const nothing = (): void => undefined;

/** Everything that can be done with a packet. @returns whether it was one */
function exercise(bytes: Uint8Array, at: number, available: number, now: number): boolean {
  frame.read(bytes, at, available);
  arp.read(bytes, at, available);
  if (packet.readQuoted(bytes, at, available) === 0) {
    transportIsValid(packet);
    rewriteSource(packet, address, 1);
    rewriteDestination(packet, address, 1);
  }
  if (packet.read(bytes, at, available) !== 0) return false;
  packet.copySource(new Int32Array(4));
  transportChecksum(packet);
  if (hasPartialChecksum(packet)) completeChecksum(packet);
  message.read(packet);
  writeIcmpError(into, 0, packet, address, 3, packet.tcpFlags, packet.destinationPort, 0);
  rewriteDestination(packet, address, packet.sourcePort);
  if (packet.icmpType !== 3) rewriteSource(packet, address, 99);
  if (packet.ttl > 1) decrementTtl(packet);
  encapsulate(packet, outer, into, 0, now);
  fragment(packet, 68, scratch, now, nothing);
  if (packet.isFragment) reassembly.add(packet, now);
  completeChecksum(packet);
  return packet.read(bytes, at, available) === 0;
}

function ipv4Checksum(bytes: Uint8Array): void {
  const length = Math.min(((bytes[0] ?? 0) & 15) * 4, bytes.length);
  bytes.set([0, 0], 10);
  let total = 0;
  for (let i = 0; i < length; i++) total += (bytes[i] ?? 0) * (i % 2 === 0 ? 256 : 1);
  bytes.set(word(~(total % 65535) & 0xffff), 10);
}

/** A small random generator, always the same. */
function xorshift(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const seeds: readonly Packet[] = fc.sample(anyPacket(48), { numRuns: 60, seed: 8 });

t.test('200,000 packets: valid ones changed in a few places, cut anywhere, or all random', (t) => {
  const random = xorshift(0x2545f491);
  const templates = seeds.map((made) => bytesOf(made));
  const buffer = new Uint8Array(400);
  let packets = 0;
  for (let i = 0; i < 200_000; i++) {
    const template = templates[i % templates.length] ?? buffer;
    const at = random(20);
    buffer.set(template, at);
    const bytes = buffer.subarray(at, at + template.length);
    const changes = i % 16 === 0 ? bytes.length : random(4);
    for (let k = 0; k < changes; k++)
      bytes[random(i % 3 === 0 ? Math.min(60, bytes.length) : bytes.length)] = random(256);
    // fragments of every kind, which chance would seldom make
    if (i % 5 === 0 && (bytes[0] ?? 0) >> 4 === 4) bytes.set([random(4) << 5, random(12)], 6);
    if ((bytes[0] ?? 0) >> 4 === 4 && bytes.length >= 20) ipv4Checksum(bytes);
    if (exercise(buffer, at, random(8) === 0 ? random(bytes.length + 1) : bytes.length, i)) packets++;
  }
  t.ok(packets > 60_000 && packets < 190_000, `${packets} of them were packets`);
  const { overlapping, evicted, expired } = reassembly.dropped;
  t.ok(overlapping > 100 && evicted + expired > 100, 'fragments among them');
  t.end();
});

t.test('none of it reads or writes outside of the packet', (t) => {
  const random = xorshift(99);
  const target = new Uint8Array(400);
  const guarded = new Guarded(target);
  let packets = 0;
  for (const made of seeds) {
    const whole = bytesOf(made);
    for (let length = 0; length <= whole.length; length++) {
      for (const changes of [0, 1, 2]) {
        const bytes = whole.slice(0, length);
        for (let k = 0; k < changes && length > 0; k++) bytes[random(Math.min(length, 64))] = random(256);
        // lengths and checksum that hold for what is there, or else nothing but the whole packet would get far
        if (length >= 40 && made.family === 6) bytes.set(word(length - 40), 4);
        if (length >= 20 && made.family === 4) {
          bytes.set(word(length), 2);
          if (changes > 0 && random(2) === 0) bytes.set([random(4) << 5, random(3)], 6);
          ipv4Checksum(bytes);
        }
        target.fill(0xff);
        target.set(bytes, 100);
        guarded.from = 100;
        guarded.to = 100 + length;
        if (exercise(guarded.bytes, 100, length, 1e9)) packets++;
      }
    }
  }
  t.same(guarded.trespasses.slice(0, 5), []);
  t.ok(packets > 500, `${packets} of them were packets`);
  t.end();
});
