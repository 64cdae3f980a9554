/**
 * A network for tests of the kernel guard. This process is the director: client ---- front, and back ---- server. The other ends of the
 * wires are only captured and sent on; the kernel takes no packet there, because what it sends goes to the link address of nobody.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import t from 'tap';
import type { Capture } from '../../src/platform/capture.ts';
import { openCapture } from '../../src/platform/capture.ts';
import type {
  GuardClaims,
  GuardedInterface,
  GuardState,
  KernelGuard,
} from '../../src/platform/kernel-guard.ts';
import { Netlink } from '../../src/platform/netlink.ts';
import { decode } from '../support/packet-decode.ts';
import { encode } from '../support/packet-encode.ts';
import type { PacketText } from '../support/packet-text.ts';
import { until } from '../support/until.ts';
import { enterOwnNetwork, ip, linkAddress, wire } from './own-network.ts';

const nobody = '02:00:00:00:00:99';
const ethertype = { 4: 0x0800, 6: 0x86dd } as const;
const acceptEverything = Uint8Array.from([6, 0, 0, 0, 0xff, 0xff, 0, 0]);

export const addresses = {
  4: {
    client: '10.1.0.2',
    vip: '10.1.0.100',
    whole: '10.1.0.101',
    routed: '10.2.0.50',
    director: '10.2.0.1',
    server: '10.2.0.11',
    other: '10.2.0.12',
  },
  6: {
    client: '2001:db8:1::2',
    vip: '2001:db8:1::100',
    whole: '2001:db8:1::101',
    routed: '2001:db8:2::50',
    director: '2001:db8:2::1',
    server: '2001:db8:2::11',
    other: '2001:db8:2::12',
  },
} as const;

/** Where a packet comes from: `bridged` is the other end of a port of a bridge, for who makes one. */
export type Side = 'client' | 'server' | 'lo' | 'bridged';
export const nobodys: GuardClaims = { services: [], replies: [], marks: [] };

/** On these interfaces, as they are now. */
export function stateFor(claims: GuardClaims, names: readonly string[] = ['front', 'back']): GuardState {
  const netlink = new Netlink();
  const interfaces: GuardedInterface[] = netlink.links().filter(({ name }) => names.includes(name));
  const own = netlink.addresses().map(({ address }) => address);
  netlink.close();
  return { ...claims, interfaces, own: [...new Set(own)] };
}

const told = new WeakMap<KernelGuard, GuardState>();

/** Tells a guard what leads from the state that it was told last to this one, and has it applied. */
export function replace(guard: KernelGuard, state: GuardState): Promise<void> {
  const before = told.get(guard) ?? { ...nobodys, interfaces: [], own: [] };
  told.set(guard, state);
  const { interfaces, own } = state;
  guard.change({ added: without(state, before), removed: without(before, state), interfaces, own });
  return guard.apply();
}

function without(some: GuardClaims, others: GuardClaims): GuardClaims {
  const left = <One>(of: (claims: GuardClaims) => readonly One[]): readonly One[] => {
    const known = new Set(of(others).map((one) => JSON.stringify(one)));
    return of(some).filter((one) => !known.has(JSON.stringify(one)));
  };
  return {
    services: left(({ services }) => services),
    replies: left(({ replies }) => replies),
    marks: left(({ marks }) => marks),
  };
}

/** Who sent what on each side. */
const sent: { side: Side; packet: PacketText }[] = [];
const captures = new Map<Side, Capture>();

/** Captures the IP packets of an interface. */
export function open(name: string, into: (packet: PacketText) => void): Capture {
  const capture = openCapture(
    name,
    { ringBytes: 1 << 20 },
    {
      frame: (buffer, length) => {
        const type = buffer.readUInt16BE(12);
        if (type !== ethertype[4] && type !== ethertype[6]) return;
        const at = 14;
        const ipLength =
          type === ethertype[4] ? buffer.readUInt16BE(at + 2) : 40 + buffer.readUInt16BE(at + 4);
        into(decode(Uint8Array.from(buffer.subarray(at, Math.min(at + ipLength, length)))));
      },
    },
  );
  capture.setFilter(acceptEverything);
  return capture;
}

/** @param vlan with a tag of this VLAN */
export function inject(side: Side, packet: PacketText, vlan?: number): void {
  const to = linkAddresses[side];
  const type = ethertype[packet.src.includes(':') ? 6 : 4];
  const types = Buffer.from([type >> 8, type & 255]);
  const frame = Buffer.concat([
    to,
    to.map((byte, i) => (i === 5 ? byte ^ 1 : byte)),
    ...(vlan === undefined ? [types] : [Uint8Array.of(0x81, 0, vlan >> 8, vlan & 255), types]),
    encode(packet),
  ]);
  captures.get(side)?.send(frame, frame.length);
}

const linkAddresses: Record<Side, Uint8Array> = {
  client: new Uint8Array(6),
  server: new Uint8Array(6),
  lo: new Uint8Array(6),
  bridged: new Uint8Array(6),
};
let round = 100;

/**
 * What the kernel sends because of a packet: everything before two echoes that pass by behind it, one each way. Without
 * what it picks at random.
 */
export async function answers(side: Side, ...packets: readonly PacketText[]): Promise<readonly string[]> {
  const { client, server } = addresses[4];
  const seq = ++round;
  const icmp = { is: 'echo request', id: 77, seq };
  sent.length = 0;
  for (const packet of packets) inject(side, packet);
  inject('client', { src: client, dst: server, icmp });
  inject('server', { src: server, dst: client, icmp });
  const isMark = (entry: PacketText): boolean => entry.icmp?.id === 77 && entry.icmp.seq === seq;
  await until(() => sent.filter((entry) => isMark(entry.packet)).length === 2);
  return sent
    .filter((entry) => entry.packet.icmp?.id !== 77)
    .map((entry) => JSON.stringify({ ...entry, packet: { ...entry.packet, flow: 0, id: 0 } }));
}

/** Frames go out to `through`, and there to the link address of `to`. */
export function openSide(side: Side, through: string, to: string, into: (packet: PacketText) => void): void {
  linkAddresses[side] = linkAddress(to);
  captures.set(side, open(through, into));
}

/** To be called once, by root. */
export function buildNetwork(): void {
  enterOwnNetwork();
  wire('client', 'front');
  wire('server', 'back');
  for (const [path, value] of [
    ['ipv4/ip_forward', 1],
    ['ipv4/icmp_ratelimit', 0],
    ['ipv6/icmp/ratelimit', 0],
    ['ipv6/conf/all/forwarding', 1],
    ['ipv4/conf/all/rp_filter', 0],
    ['ipv4/conf/lo/rp_filter', 0],
    ['ipv4/conf/front/rp_filter', 0],
    ['ipv4/conf/back/rp_filter', 0],
  ] as const) {
    writeFileSync(`/proc/sys/net/${path}`, String(value));
  }
  for (const family of [4, 6] as const) {
    const { client, vip, whole, routed, director, server, other } = addresses[family];
    const length = family === 4 ? 24 : 64;
    for (const address of [vip, whole])
      ip(`address add ${address}/${length} dev front${family === 6 ? ' nodad' : ''}`);
    ip(`address add ${director}/${length} dev back${family === 6 ? ' nodad' : ''}`);
    ip(`neighbour add ${client} lladdr ${nobody} dev front`);
    for (const host of [server, other, routed]) ip(`neighbour add ${host} lladdr ${nobody} dev back`);
  }
  for (const [side, to] of [
    ['client', 'front'],
    ['server', 'back'],
  ] as const)
    openSide(side, side, to, (packet) => {
      // Neighbour discovery and the like are the kernel's own affair.
      if (!packet.dst.startsWith('ff')) sent.push({ side, packet });
    });
  openSide('lo', 'lo', 'lo', () => undefined);
  t.teardown(() => {
    // The captures keep the loop alive.
    setImmediate(() => process.exit());
  });
}

export function run(file: string, ...args: readonly string[]): string {
  return execFileSync(file, args, { encoding: 'utf8' });
}
