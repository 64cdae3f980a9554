/**
 * Packets as people write them, in the packet stories: only what is not the default is said. `encode` and `decode` (beside
 * this file) turn them into bytes and back; they share no code with `src/wire`, so that each is a check of the other.
 */

/**
 * `0x` and four digits as they are in the packet, `bad` for one that is wrong, `none` for UDP's zero, `any` where it covers a
 * random number that is not all there. Absent: right.
 */
export type Checksum = string;

/** Text, or `x*1472` for 1472 times x, or `hex 00ff` where it is neither printable nor the end of a line. */
export type Data = string;

/** A number that the sender picks at random. */
export type Free = number | 'any';

/**
 * An IP packet. IPv4 by default: TTL 64, TOS 0, identification 0, don't fragment. IPv6: hop limit 64, no traffic class, no
 * flow label, no extension headers. Which it is, the addresses say.
 */
export interface PacketText {
  readonly src: string;
  readonly dst: string;
  /** Or the hop limit. */
  readonly ttl?: number;
  /** Or the traffic class. */
  readonly tos?: number;
  readonly flow?: Free;
  /** IPv6: of the fragment header, which is there when one of `id`, `mf` and `offset` is. */
  readonly id?: Free;
  readonly df?: boolean;
  readonly mf?: boolean;
  /** Of a fragment, in bytes. */
  readonly offset?: number;
  /** IPv4 options in hexadecimal, padded. */
  readonly options?: string;
  /** The IPv6 hop-by-hop options header in hexadecimal, without its first byte. */
  readonly hopByHop?: string;
  /** What the length field says, when there is less: a packet that an ICMP error quotes. */
  readonly length?: number;
  readonly headerChecksum?: Checksum;
  readonly tcp?: TcpText;
  readonly udp?: UdpText;
  readonly icmp?: IcmpText;
  readonly ipip?: PacketText;
  readonly gue?: GueText;
  readonly gre?: GreText;
  /** Any other protocol, or a fragment that is not the first. */
  readonly protocol?: number;
  readonly payload?: Data;
}

export interface TcpText {
  readonly sport: number;
  readonly dport: number;
  /** `SA` for SYN and ACK: letters of S A F R P U E C. Absent in a quoted header that was cut after eight bytes. */
  readonly flags?: string;
  readonly seq?: number;
  readonly ack?: number;
  /** By default 64240. */
  readonly window?: number;
  readonly urgent?: number;
  readonly options?: string;
  readonly checksum?: Checksum;
  readonly data?: Data;
}

export interface UdpText {
  readonly sport: Free;
  readonly dport: number;
  /** Where it is not what there is. */
  readonly length?: number;
  readonly checksum?: Checksum;
  readonly data?: Data;
}

export interface IcmpText {
  /** A name of {@link icmpNames}, or `type 13 code 0`. */
  readonly is: string;
  readonly checksum?: Checksum;
  /** Echo. */
  readonly id?: number;
  readonly seq?: number;
  /** Fragmentation needed, packet too big. */
  readonly mtu?: number;
  /** The four bytes after the checksum, of any other type, where they are not zero. */
  readonly rest?: string;
  readonly quotes?: PacketText;
  readonly data?: Data;
}

export interface GueText {
  readonly sport: Free;
  readonly dport: number;
  readonly checksum?: Checksum;
  /** In hexadecimal. */
  readonly header: string;
  readonly packet: PacketText;
}

export interface GreText {
  /** `ok` when there is one and it is right. */
  readonly checksum?: Checksum;
  readonly packet: PacketText;
}

export const protocols = {
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ip6: 41,
  gre: 47,
  fragment: 44,
  icmpv6: 58,
} as const;

/** The port that every gue tunnel of the stories has. */
export const guePort = 6080;

export const tcpFlags = 'FSRPAUEC';

const icmpv4: Readonly<Record<string, readonly [number, number]>> = {
  'echo reply': [0, 0],
  'net unreachable': [3, 0],
  'host unreachable': [3, 1],
  'protocol unreachable': [3, 2],
  'port unreachable': [3, 3],
  'fragmentation needed': [3, 4],
  'source quench': [4, 0],
  'redirect host': [5, 1],
  'echo request': [8, 0],
  'time exceeded': [11, 0],
  'reassembly time exceeded': [11, 1],
  'parameter problem': [12, 0],
};

const icmpv6: Readonly<Record<string, readonly [number, number]>> = {
  'no route': [1, 0],
  'address unreachable': [1, 3],
  'port unreachable': [1, 4],
  'packet too big': [2, 0],
  'time exceeded': [3, 0],
  'parameter problem': [4, 0],
  'echo request': [128, 0],
  'echo reply': [129, 0],
};

/** The ICMP types that have a name: name -> type and code. */
export function icmpNames(family: 4 | 6): Readonly<Record<string, readonly [number, number]>> {
  return family === 4 ? icmpv4 : icmpv6;
}

export function isEcho(name: string): boolean {
  return name.startsWith('echo');
}

export function hasMtu(name: string): boolean {
  return name === 'fragmentation needed' || name === 'packet too big';
}

/** Does an ICMP message of this type quote the packet it is about? */
export function quotes(family: 4 | 6, type: number): boolean {
  return family === 4 ? [3, 4, 5, 11, 12].includes(type) : type < 128;
}

export function dataBytes(data: Data): Uint8Array {
  const run = /^(.)\*(\d+)$/s.exec(data);
  if (run) return new Uint8Array(Number(run[2])).fill((run[1] ?? '').charCodeAt(0));
  return data.startsWith('hex ') ? hexBytes(data.slice(4)) : Buffer.from(data, 'latin1');
}

export function dataText(bytes: Uint8Array): Data {
  const text = Buffer.from(bytes).toString('latin1');
  if (/[^ -~\r\n]/.test(text) || text.startsWith('hex ')) return `hex ${hexText(bytes)}`;
  return bytes.length > 8 && bytes.every((byte) => byte === bytes[0])
    ? `${text.charAt(0)}*${bytes.length}`
    : text;
}

export function hexBytes(text: string): Uint8Array {
  const bytes = Buffer.from(text.replaceAll(' ', ''), 'hex');
  if (bytes.length * 2 !== text.replaceAll(' ', '').length) throw new Error(`not hexadecimal: ${text}`);
  return bytes;
}

export function hexText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
