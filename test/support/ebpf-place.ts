/**
 * The place of the stories for programs in the kernel: a network namespace of this process with the director's two interfaces and
 * every host of the stories as a neighbour. The other ends of both wires are nobody, so nothing ever answers.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import * as libc from '../../src/platform/libc.ts';
import { interfaceIndex } from '../../src/platform/packet-socket.ts';
import { addressBytes } from '../../src/util/ip.ts';
import { enterOwnNetwork, wire } from '../platform/own-network.ts';
import type { Side } from './story.ts';

export { skip } from '../platform/own-network.ts';

const ethernetHeader = 14;
const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL = 0x0003;
const PACKET_OUTGOING = 4;

interface Neighbour {
  readonly name: string;
  readonly side: Side;
  readonly link: string;
  /** Last part of its addresses: `11` is 10.2.0.11 and 2001:db8:2::11. */
  readonly v4: number;
  readonly v6: string;
}

const devices = { client: 'front', server: 'back' } as const satisfies Record<Side, string>;
const networks = { client: 1, server: 2 } as const satisfies Record<Side, number>;
const ownLinks = { client: '02:00:00:00:01:01', server: '02:00:00:00:02:01' } as const;
/** Packets come from the hardware address of nobody: who answers there has not asked for the way. */
const nobody = '02:00:00:00:01:fa';

const neighbours: readonly Neighbour[] = [
  ...[2, 3, 4, 5, 6, 7, 8, 9].map((n) => neighbour('client', 'client', n, String(n))),
  neighbour('gateway', 'client', 254, 'fe'),
  ...[1, 2, 3].map((n) => neighbour(`rs${n}`, 'server', 10 + n, `1${n}`)),
];

function neighbour(name: string, side: Side, v4: number, v6: string): Neighbour {
  return { name, side, v4, v6, link: `02:00:00:00:0${networks[side]}:${v6.padStart(2, '0')}` };
}

function inet(side: Side, last: number): string {
  return `10.${networks[side]}.0.${last}`;
}

function inet6(side: Side, last: string): string {
  return `2001:db8:${networks[side]}::${last}`;
}

const kernelSettings = {
  'ipv4/ip_forward': 1,
  'ipv4/conf/all/rp_filter': 0,
  'ipv4/conf/default/rp_filter': 0,
  'ipv6/conf/all/accept_dad': 0,
  'ipv6/conf/default/accept_dad': 0,
  'ipv6/conf/all/accept_ra': 0,
  'ipv6/conf/default/accept_ra': 0,
  'ipv6/conf/all/forwarding': 1,
} as const;

export interface PlacedFrame {
  /** Name of the host whose hardware address it carries, or what is wrong with that. */
  readonly to: string;
  readonly packet: Uint8Array;
}

/** One a process: it lives in this network from then on. */
export class EbpfPlace {
  readonly #indexes: Readonly<Record<Side, number>>;
  readonly #tap: number;
  #mtu = 1500;

  constructor() {
    enterOwnNetwork();
    for (const [name, value] of Object.entries(kernelSettings))
      writeFileSync(`/proc/sys/net/${name}`, String(value));
    for (const device of Object.values(devices)) wire(device, `${device}-end`);
    execFileSync('ip', ['-batch', '-'], { input: `${addressing().join('\n')}\n` });
    this.#indexes = { client: interfaceIndex(devices.client), server: interfaceIndex(devices.server) };
    this.#tap = libc.socket(AF_PACKET, SOCK_RAW | libc.SOCK_NONBLOCK, ETH_P_ALL << 8);
    if (this.#tap < 0) throw new Error(`packet socket: ${libc.errorText(libc.errno())}`);
  }

  interfaceIndex(side: Side): number {
    return this.#indexes[side];
  }

  /** Of the interface towards the real servers. */
  setMtu(mtu: number): void {
    if (mtu === this.#mtu) return;
    this.#mtu = mtu;
    execFileSync('ip', ['link', 'set', devices.server, 'mtu', String(mtu)]);
  }

  /** An IP packet as it comes to the director. */
  frame(side: Side, packet: Uint8Array): Buffer {
    const frame = Buffer.alloc(ethernetHeader + packet.length);
    frame.set(linkBytes(ownLinks[side]), 0);
    frame.set(linkBytes(nobody), 6);
    frame.writeUInt16BE((packet[0] ?? 0) >> 4 === 4 ? 0x0800 : 0x86dd, 12);
    frame.set(packet, ethernetHeader);
    return frame;
  }

  /** A frame that the director sends. @param by the interface, where that is known */
  placed(frame: Buffer, by?: Side): PlacedFrame {
    const packet = frame.subarray(ethernetHeader);
    const link = linkText(frame.subarray(0, 6));
    const host = neighbours.find((host) => host.link === link);
    if (host === undefined) return { to: `nobody with hardware address ${link}`, packet };
    const wrong = this.#whatIsWrong(frame, host, by);
    return { to: wrong === undefined ? host.name : `${host.name}, ${wrong}`, packet };
  }

  #whatIsWrong(frame: Buffer, host: Neighbour, by: Side | undefined): string | undefined {
    if (by !== undefined && by !== host.side) return `by ${devices[by]}`;
    const from = linkText(frame.subarray(6, 12));
    if (from !== ownLinks[host.side]) return `from ${from}`;
    const family = (frame[ethernetHeader] ?? 0) >> 4;
    if (frame.readUInt16BE(12) !== (family === 4 ? 0x0800 : 0x86dd))
      return `as type ${frame.readUInt16BE(12)}`;
    // clients are known by their addresses alone
    if (host.name !== 'client') return undefined;
    const address = addressBytes(family === 4 ? inet(host.side, host.v4) : inet6(host.side, host.v6));
    const at = ethernetHeader + (family === 4 ? 16 : 24);
    return frame.subarray(at, at + address.length).equals(address) ? undefined : `which is ${host.link}`;
  }

  /** Frames that really left since the last call, in their order. */
  takeSent(): readonly PlacedFrame[] {
    const sent: PlacedFrame[] = [];
    const buffer = Buffer.alloc(65536);
    const address = Buffer.alloc(20);
    for (;;) {
      const length = libc.recvfrom(
        this.#tap,
        buffer,
        buffer.length,
        0,
        address,
        new Uint8Array(Uint32Array.of(address.length).buffer),
      );
      if (length < 0) return sent;
      const side = this.#sideOf(address.readInt32LE(4));
      // the kernel's own multicasts are no frames of the director's
      if (side === undefined || address[10] !== PACKET_OUTGOING || ((buffer[0] ?? 0) & 1) === 1) continue;
      sent.push(this.placed(Buffer.from(buffer.subarray(0, length)), side));
    }
  }

  #sideOf(index: number): Side | undefined {
    if (index === this.#indexes.client) return 'client';
    return index === this.#indexes.server ? 'server' : undefined;
  }
}

/** Lines for ip(8). */
function addressing(): readonly string[] {
  const own = (['client', 'server'] as const).flatMap((side) => [
    `link set ${devices[side]} address ${ownLinks[side]}`,
    `addr add ${inet(side, 1)}/24 dev ${devices[side]}`,
    `addr add ${inet6(side, '1')}/64 dev ${devices[side]} nodad`,
    `link set ${devices[side]}-end arp off`,
  ]);
  const others = neighbours.flatMap(({ side, v4, v6, link }) =>
    [inet(side, v4), inet6(side, v6)].map(
      (address) => `neigh add ${address} lladdr ${link} dev ${devices[side]} nud permanent`,
    ),
  );
  return [
    ...own,
    'addr add 10.1.0.100/32 dev lo',
    'addr add 2001:db8:1::100/128 dev lo',
    ...others,
    'route add default via 10.1.0.254',
    'route add default via 2001:db8:1::fe',
  ];
}

function linkBytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

function linkText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}
