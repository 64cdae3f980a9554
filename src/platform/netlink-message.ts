/**
 * rtnetlink messages (rtnetlink(7), linux/rtnetlink.h): requests into bytes, answers into plain values. Pure; the socket
 * is in netlink.ts. Headers are in the machine's byte order, addresses inside attributes in the network's.
 */
import type { Address } from '../util/ip.ts';
import { addressBytes, familyOf, formatAddress } from '../util/ip.ts';

export interface Link {
  readonly index: number;
  readonly name: string;
  /** Empty where the link has none. */
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly up: boolean;
  readonly ethernet: boolean;
  readonly loopback: boolean;
  /** Neighbours on it are asked for their MAC addresses (not IFF_NOARP). */
  readonly arp: boolean;
  /** Index of the bridge, bond or VRF that it is a port of; 0 none. */
  readonly master: number;
  /** veth, bridge, bond, vlan ..., or '' for hardware. */
  readonly kind: string;
  /** Index of the link that a VLAN or macvlan is on (of a veth its other end, wherever that is). */
  readonly lower?: number;
}

export type RouteKind =
  'unicast' | 'local' | 'broadcast' | 'multicast' | 'blackhole' | 'unreachable' | 'prohibit' | 'other';

export interface Route {
  readonly interfaceIndex: number;
  /** Undefined: the destination is on the link. May be an IPv6 address for an IPv4 destination (RFC 5549). */
  readonly gateway: Address | undefined;
  /** This host's address towards the destination. */
  readonly source: Address | undefined;
  /** Of the route, 0 where it has none of its own and the link's holds. */
  readonly mtu: number;
  /** Milliseconds for which `mtu` holds when the kernel learned it as a path MTU; undefined when it is configured. */
  readonly mtuExpires: number | undefined;
  readonly kind: RouteKind;
}

export interface InterfaceAddress {
  readonly interfaceIndex: number;
  readonly address: Address;
  readonly prefix: number;
}

export interface Neighbour {
  readonly interfaceIndex: number;
  readonly address: Address;
  /** Empty while the kernel does not know it. */
  readonly mac: Uint8Array;
  /** Confirmed lately, or fixed. */
  readonly reachable: boolean;
  /** Entered by the administrator, or needs no resolution: nobody probes it. */
  readonly fixed: boolean;
}

export const HEADER_LENGTH = 16;
export const MessageType = {
  error: 2,
  done: 3,
  newLink: 16,
  getLink: 18,
  newAddress: 20,
  getAddress: 22,
  newRoute: 24,
  getRoute: 26,
  newNeighbour: 28,
  getNeighbour: 30,
} as const;

export const FLAG_REQUEST = 1;
export const FLAG_DUMP = 0x300;
/** Something changed while a dump was being read: it may be incomplete. */
export const FLAG_DUMP_INTERRUPTED = 0x10;

const AF_INET = 2;
const AF_INET6 = 10;
const INTERFACE_LENGTH = 16;
const ADDRESS_LENGTH = 8;
const ROUTE_LENGTH = 12;
const NEIGHBOUR_LENGTH = 12;

const ARPHRD_ETHER = 1;
const IFF_UP = 1;
const IFF_LOOPBACK = 8;
const IFF_NOARP = 0x80;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_CACHEINFO = 12;
const RTA_VIA = 18;
const RTAX_MTU = 2;
/** rta_cacheinfo: clntref, lastuse, expires, ... */
const CACHEINFO_EXPIRES = 8;
/** The kernel tells times to programs in hundredths of a second (USER_HZ). */
const MILLISECONDS_A_TICK = 10;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NUD_REACHABLE = 0x02;
const NUD_NOARP = 0x40;
const NUD_PERMANENT = 0x80;
/** incomplete, failed, or none: whatever address is there is not to be used */
const NUD_USABLE = 0xde;

const routeKinds: readonly RouteKind[] = [
  'other',
  'unicast',
  'local',
  'broadcast',
  'other',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
];

const little = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A message of the answer: where it is in the bytes, and its header's fields. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Offset of what follows the header. */
  readonly body: number;
  readonly end: number;
}

/** The messages in what one recv brought. Stops where the bytes make no sense. */
export function* messages(view: DataView, length: number): Generator<Message> {
  let at = 0;
  while (at + HEADER_LENGTH <= length) {
    const size = view.getUint32(at, little);
    if (size < HEADER_LENGTH || at + size > length) return;
    yield {
      type: view.getUint16(at + 4, little),
      flags: view.getUint16(at + 6, little),
      sequence: view.getUint32(at + 8, little),
      body: at + HEADER_LENGTH,
      end: at + size,
    };
    at += aligned(size);
  }
}

/** Error number (positive) of an error message; 0 is an acknowledgement. */
export function errorOf(view: DataView, message: Message): number {
  return message.end - message.body < 4 ? 0 : -view.getInt32(message.body, little);
}

/** @returns length of the request in `into` */
export function writeDump(into: Uint8Array, type: number, sequence: number): number {
  const length = HEADER_LENGTH + INTERFACE_LENGTH;
  into.fill(0, 0, length);
  writeHeader(viewOf(into), length, type, FLAG_REQUEST | FLAG_DUMP, sequence);
  return length;
}

/** How would the kernel send to `destination` (from its own address `from`)? @returns length of the request */
export function writeRouteRequest(
  into: Uint8Array,
  sequence: number,
  destination: Address,
  from?: Address,
): number {
  into.fill(0, 0, HEADER_LENGTH + ROUTE_LENGTH);
  into[HEADER_LENGTH] = familyNumber(destination);
  let end = writeAddress(into, HEADER_LENGTH + ROUTE_LENGTH, RTA_DST, destination);
  into[HEADER_LENGTH + 1] = prefixLength(destination);
  if (from !== undefined) {
    end = writeAddress(into, end, RTA_SRC, from);
    into[HEADER_LENGTH + 2] = prefixLength(from);
  }
  writeHeader(viewOf(into), end, MessageType.getRoute, FLAG_REQUEST, sequence);
  return end;
}

/** @returns length of the request */
export function writeNeighbourRequest(
  into: Uint8Array,
  sequence: number,
  interfaceIndex: number,
  address: Address,
): number {
  into.fill(0, 0, HEADER_LENGTH + NEIGHBOUR_LENGTH);
  into[HEADER_LENGTH] = familyNumber(address);
  const view = viewOf(into);
  view.setInt32(HEADER_LENGTH + 4, interfaceIndex, little);
  const end = writeAddress(into, HEADER_LENGTH + NEIGHBOUR_LENGTH, NDA_DST, address);
  writeHeader(view, end, MessageType.getNeighbour, FLAG_REQUEST, sequence);
  return end;
}

export function readLink(view: DataView, message: Message): Link {
  const flags = view.getUint32(message.body + 8, little);
  let mac = new Uint8Array(0);
  let name = '';
  let mtu = 0;
  let master = 0;
  let kind = '';
  let lower: number | undefined;
  for (const { type, at, end } of attributes(view, message.body + INTERFACE_LENGTH, message.end)) {
    if (type === IFLA_ADDRESS) mac = copy(view, at, end);
    else if (type === IFLA_IFNAME) name = text(view, at, end);
    else if (type === IFLA_MTU) mtu = view.getUint32(at, little);
    else if (type === IFLA_LINK) lower = view.getUint32(at, little);
    else if (type === IFLA_MASTER) master = view.getUint32(at, little);
    else if (type === IFLA_LINKINFO) {
      for (const info of attributes(view, at, end)) {
        if (info.type === IFLA_INFO_KIND) kind = text(view, info.at, info.end);
      }
    }
  }
  const loopback = (flags & IFF_LOOPBACK) !== 0;
  return {
    index: view.getInt32(message.body + 4, little),
    name,
    mac,
    mtu,
    up: (flags & IFF_UP) !== 0,
    ethernet: view.getUint16(message.body + 2, little) === ARPHRD_ETHER,
    loopback,
    arp: (flags & IFF_NOARP) === 0 && !loopback,
    master,
    kind,
    ...(lower === undefined ? {} : { lower }),
  };
}

export function readInterfaceAddress(view: DataView, message: Message): InterfaceAddress | undefined {
  const size = addressLength(view.getUint8(message.body));
  if (size === 0) return undefined;
  let address: Uint8Array | undefined;
  for (const { type, at, end } of attributes(view, message.body + ADDRESS_LENGTH, message.end)) {
    // of a point-to-point link IFA_ADDRESS is the other end and IFA_LOCAL this one; IPv6 often has the former alone
    if (type === IFA_LOCAL || (type === IFA_ADDRESS && address === undefined)) address = copy(view, at, end);
  }
  if (address?.length !== size) return undefined;
  return {
    interfaceIndex: view.getUint32(message.body + 4, little),
    address: formatAddress(address),
    prefix: view.getUint8(message.body + 1),
  };
}

/** @param from the address that the question named: the kernel does not repeat it as the source */
export function readRoute(view: DataView, message: Message, from?: Address): Route {
  const size = addressLength(view.getUint8(message.body));
  let interfaceIndex = 0;
  let gateway: Address | undefined;
  let source = from;
  let mtu = 0;
  let expires = 0;
  for (const { type, at, end } of attributes(view, message.body + ROUTE_LENGTH, message.end)) {
    if (type === RTA_OIF) interfaceIndex = view.getInt32(at, little);
    else if (type === RTA_GATEWAY && end - at === size) gateway = formatAddress(copy(view, at, end));
    else if (type === RTA_VIA && end - at === 2 + addressLength(view.getUint16(at, little)))
      gateway = formatAddress(copy(view, at + 2, end));
    else if (type === RTA_PREFSRC && end - at === size) source = formatAddress(copy(view, at, end));
    else if (type === RTA_CACHEINFO && end - at > CACHEINFO_EXPIRES + 4)
      expires = view.getInt32(at + CACHEINFO_EXPIRES, little) * MILLISECONDS_A_TICK;
    else if (type === RTA_METRICS) {
      for (const metric of attributes(view, at, end)) {
        if (metric.type === RTAX_MTU) mtu = view.getUint32(metric.at, little);
      }
    }
  }
  return {
    interfaceIndex,
    gateway,
    source,
    mtu,
    mtuExpires: mtu > 0 && expires > 0 ? expires : undefined,
    kind: routeKinds[view.getUint8(message.body + 7)] ?? 'other',
  };
}

export function readNeighbour(view: DataView, message: Message): Neighbour | undefined {
  const size = addressLength(view.getUint8(message.body));
  const state = view.getUint16(message.body + 8, little);
  let address: Address | undefined;
  let mac = new Uint8Array(0);
  for (const { type, at, end } of attributes(view, message.body + NEIGHBOUR_LENGTH, message.end)) {
    if (type === NDA_DST && size > 0 && end - at === size) address = formatAddress(copy(view, at, end));
    else if (type === NDA_LLADDR && (state & NUD_USABLE) !== 0) mac = copy(view, at, end);
  }
  if (address === undefined) return undefined;
  const fixed = (state & (NUD_PERMANENT | NUD_NOARP)) !== 0;
  return {
    interfaceIndex: view.getInt32(message.body + 4, little),
    address,
    mac,
    reachable: fixed || (state & NUD_REACHABLE) !== 0,
    fixed,
  };
}

export interface Attribute {
  readonly type: number;
  readonly at: number;
  readonly end: number;
}

export function* attributes(view: DataView, from: number, to: number): Generator<Attribute> {
  let at = from;
  while (at + 4 <= to) {
    const size = view.getUint16(at, little);
    if (size < 4 || at + size > to) return;
    // the two highest bits say "nested" and "network byte order"
    yield { type: view.getUint16(at + 2, little) & 0x3fff, at: at + 4, end: at + size };
    at += aligned(size);
  }
}

export function writeHeader(
  view: DataView,
  length: number,
  type: number,
  flags: number,
  sequence: number,
): void {
  view.setUint32(0, length, little);
  view.setUint16(4, type, little);
  view.setUint16(6, flags, little);
  view.setUint32(8, sequence, little);
  view.setUint32(12, 0, little);
}

function writeAddress(into: Uint8Array, at: number, type: number, address: Address): number {
  const bytes = addressBytes(address);
  const view = viewOf(into);
  view.setUint16(at, 4 + bytes.length, little);
  view.setUint16(at + 2, type, little);
  into.set(bytes, at + 4);
  return at + 4 + bytes.length;
}

function familyNumber(address: Address): number {
  return familyOf(address) === 'inet' ? AF_INET : AF_INET6;
}

function prefixLength(address: Address): number {
  return familyOf(address) === 'inet' ? 32 : 128;
}

function addressLength(family: number): number {
  if (family === AF_INET) return 4;
  return family === AF_INET6 ? 16 : 0;
}

export function aligned(length: number): number {
  return (length + 3) & ~3;
}

function copy(view: DataView, at: number, end: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view.buffer, view.byteOffset + at, end - at).slice();
}

/** C text, up to its final zero. */
export function text(view: DataView, at: number, end: number): string {
  return Buffer.from(view.buffer, view.byteOffset + at, end - at)
    .toString('utf8')
    .replace(/\0.*$/s, '');
}
