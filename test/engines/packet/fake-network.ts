/** A kernel's answers about links, routes and neighbours as a test wants them, and frames as neighbours would send them. */
import type { InterfaceAddress, Link, Neighbour, Route } from '../../../src/platform/netlink.ts';
import type { Address } from '../../../src/util/ip.ts';
import { ArpOperation, writeArp } from '../../../src/wire/arp.ts';
import { Ethertype, writeEthernet } from '../../../src/wire/ethernet.ts';
import { writeAdvertisement } from '../../../src/wire/neighbour-discovery.ts';
import { addressWords } from '../../../src/engines/address-words.ts';

export function mac(last: number): Uint8Array {
  return Uint8Array.of(2, 0, 0, 0, 0, last);
}

export const ourMac = mac(1);
export const groupMac = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);

export function link(index: number, name: string, other: Partial<Link> = {}): Link {
  return {
    index,
    name,
    mac: ourMac,
    mtu: 1500,
    up: true,
    ethernet: true,
    loopback: false,
    arp: true,
    master: 0,
    kind: '',
    ...other,
  };
}

export function route(interfaceIndex: number, other: Partial<Route> = {}): Route {
  return {
    interfaceIndex,
    gateway: undefined,
    source: '10.2.0.1',
    mtu: 0,
    mtuExpires: undefined,
    kind: 'unicast',
    ...other,
  };
}

export class FakeNetlink {
  all: Link[] = [link(1, 'lo', { loopback: true, ethernet: false, mtu: 65536 }), link(2, 'eth1')];
  own: InterfaceAddress[] = [{ interfaceIndex: 2, address: '10.2.0.1', prefix: 24 }];
  known: Neighbour[] = [];
  isChanged = false;
  /** Every question about a route: `to` or `to from source`. */
  readonly asked: string[] = [];
  answer: (to: Address, from?: Address) => Route | undefined = () => route(2);

  links(): Link[] {
    return this.all;
  }

  addresses(): InterfaceAddress[] {
    return this.own;
  }

  neighbour(index: number, address: Address): Neighbour | undefined {
    return this.known.find((known) => known.interfaceIndex === index && known.address === address);
  }

  route(to: Address, from?: Address): Route | undefined {
    this.asked.push(from === undefined ? to : `${to} from ${from}`);
    return this.answer(to, from);
  }

  changed(): boolean {
    const was = this.isChanged;
    this.isChanged = false;
    return was;
  }
}

/** An ARP frame of `address` at `at`; about itself when `to` is its own address. */
export function arp(
  operation: keyof typeof ArpOperation,
  address: Address,
  at: Uint8Array,
  to: Address = '10.2.0.1',
  destination: Uint8Array = operation === 'reply' && to !== address ? ourMac : groupMac,
): Buffer {
  const frame = Buffer.alloc(60);
  writeEthernet(frame, 0, destination, at, Ethertype.arp);
  const word = (text: Address): number => addressWords(text).words[0] ?? 0;
  writeArp(frame, 14, ArpOperation[operation], at, word(address), ourMac, word(to));
  return frame;
}

/** A neighbour advertisement of `address` at `at`. */
export function advertisement(address: Address, at: Uint8Array, to: Address, solicited: boolean): Buffer {
  const frame = Buffer.alloc(14 + 72);
  writeEthernet(frame, 0, ourMac, at, Ethertype.ipv6);
  const [from, destination] = [addressWords(address).words, addressWords(to).words];
  writeAdvertisement(frame, 14, from, at, destination, from, solicited);
  return frame;
}

/** An IP packet of which only the first byte matters here, and a mark by which it is known again. */
export function ipPacket(mark: number, family: 4 | 6 = 4): Buffer {
  const packet = Buffer.alloc(40, mark);
  packet[0] = family << 4;
  return packet;
}

/** What a frame is, in words. */
export function describe(frame: Uint8Array): string {
  const bytes = Buffer.from(frame);
  const to = bytes.toString('hex', 0, 6);
  const type = bytes.readUInt16BE(12);
  if (type === 0x0806) {
    const target = [...bytes.subarray(38, 42)].join('.');
    const sender = [...bytes.subarray(28, 32)].join('.');
    return `to ${to}: who has ${target}? tell ${sender}`;
  }
  if (bytes[20] === 58 && bytes[54] === 135)
    return `to ${to}: who has ..${bytes.toString('hex', 74, 78)}? tell ..${bytes.toString('hex', 34, 38)} at ${bytes.toString('hex', 80, 86)}`;
  return `to ${to}: ${type.toString(16)} packet ${bytes[15] ?? 0}`;
}
