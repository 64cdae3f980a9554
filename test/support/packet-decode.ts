/**
 * The bytes of a packet in words. Nothing is passed over: what the text has no words for is given in hexadecimal, a packet that
 * does not end where it says is an error, and a checksum that is not right is in the text.
 */
import { formatAddress } from '../../src/util/ip.ts';
import { internetChecksum, pseudoHeader } from './internet-checksum.ts';
import type { Checksum, GreText, GueText, IcmpText, PacketText, TcpText, UdpText } from './packet-text.ts';
import {
  dataText,
  guePort,
  hasMtu,
  hexText,
  icmpNames,
  isEcho,
  protocols,
  quotes,
  tcpFlags,
} from './packet-text.ts';

/** What stands around a transport header. `whole` is false where bytes of it are missing, and so its checksum says nothing. */
interface Around {
  readonly family: 4 | 6;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly whole: boolean;
}

/** @param quoted the packet may be cut, as ICMP errors cut what they quote */
export function decode(packet: Uint8Array, quoted = false): PacketText {
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.length);
  const version = (bytes[0] ?? 0) >> 4;
  if (version !== 4 && version !== 6) throw new Error(`IP version ${version}: ${hexText(packet)}`);
  return version === 4 ? ipv4(bytes, quoted) : ipv6(bytes, quoted);
}

function ipv4(bytes: Buffer, quoted: boolean): PacketText {
  const headerLength = ((bytes[0] ?? 0) & 15) * 4;
  const length = bytes.readUInt16BE(2);
  if (length < bytes.length || (length > bytes.length && !quoted))
    throw new Error(`length ${length}: ${hexText(bytes)}`);
  const field = bytes.readUInt16BE(6);
  const header = bytes.subarray(0, headerLength);
  const mf = (field & 0x2000) !== 0;
  const offset = (field & 0x1fff) * 8;
  const around: Around = {
    family: 4,
    source: bytes.subarray(12, 16),
    destination: bytes.subarray(16, 20),
    whole: length === bytes.length && !mf && offset === 0,
  };
  return {
    src: formatAddress(around.source),
    dst: formatAddress(around.destination),
    ...unless('ttl', bytes[8], 64),
    ...unless('tos', bytes[1], 0),
    ...unless('id', bytes.readUInt16BE(4), 0),
    ...unless('df', (field & 0x4000) !== 0, true),
    ...unless('mf', mf, false),
    ...unless('offset', offset, 0),
    ...unless('options', hexText(header.subarray(20)), ''),
    ...unless('length', length, bytes.length),
    ...unless('headerChecksum', internetChecksum(header) === 0 ? undefined : hex(bytes, 10), undefined),
    ...content(bytes[9] ?? 0, bytes.subarray(headerLength), offset, around),
  };
}

function ipv6(bytes: Buffer, quoted: boolean): PacketText {
  const length = 40 + bytes.readUInt16BE(4);
  if (length < bytes.length || (length > bytes.length && !quoted))
    throw new Error(`length ${length}: ${hexText(bytes)}`);
  let next = bytes[6] ?? 0;
  let at = 40;
  let extensions: Partial<PacketText> = {};
  let whole = length === bytes.length;
  if (next === 0) {
    const size = ((bytes[at + 1] ?? 0) + 1) * 8;
    extensions = { hopByHop: hexText(bytes.subarray(at + 1, at + size)) };
    next = bytes[at] ?? 0;
    at += size;
  }
  let offset = 0;
  if (next === protocols.fragment) {
    const field = bytes.readUInt16BE(at + 2);
    offset = field & 0xfff8;
    const mf = (field & 1) !== 0;
    whole &&= !mf && offset === 0;
    extensions = {
      ...extensions,
      id: bytes.readUInt32BE(at + 4),
      ...unless('mf', mf, false),
      ...unless('offset', offset, 0),
    };
    next = bytes[at] ?? 0;
    at += 8;
  }
  const around: Around = {
    family: 6,
    source: bytes.subarray(8, 24),
    destination: bytes.subarray(24, 40),
    whole,
  };
  const first = bytes.readUInt32BE(0);
  return {
    src: formatAddress(around.source),
    dst: formatAddress(around.destination),
    ...unless('ttl', bytes[7], 64),
    ...unless('tos', (first >>> 20) & 255, 0),
    ...unless('flow', first & 0xfffff, 0),
    ...extensions,
    ...unless('length', length, bytes.length),
    ...content(next, bytes.subarray(at), offset, around),
  };
}

function content(protocol: number, bytes: Buffer, offset: number, around: Around): Partial<PacketText> {
  if (offset === 0 && bytes.length >= 8) {
    if (protocol === protocols.tcp && !isOddTcp(bytes, around)) return { tcp: tcp(bytes, around) };
    if (protocol === protocols.udp && around.whole && bytes.readUInt16BE(2) === guePort)
      return { gue: gue(bytes, around) };
    if (protocol === protocols.udp) return { udp: udp(bytes, around) };
    if (protocol === (around.family === 4 ? protocols.icmp : protocols.icmpv6))
      return { icmp: icmp(bytes, around) };
    if (around.whole && (protocol === protocols.ipip || protocol === protocols.ip6))
      return { ipip: decode(bytes) };
    if (around.whole && protocol === protocols.gre) return { gre: gre(bytes) };
  }
  return { protocol, ...unless('payload', dataText(bytes), '') };
}

/** A header that TcpText has no words for: too short, or with reserved bits. */
function isOddTcp(bytes: Buffer, { whole }: Around): boolean {
  const [length, reserved] = [(bytes[12] ?? 0) >> 4, (bytes[12] ?? 0) & 15];
  return bytes.length < 20 ? whole : length < 5 || reserved !== 0;
}

function tcp(bytes: Buffer, around: Around): TcpText {
  const ports = { sport: bytes.readUInt16BE(0), dport: bytes.readUInt16BE(2) };
  const seq = unless('seq', bytes.readUInt32BE(4), 0);
  const headerLength = ((bytes[12] ?? 0) >> 4) * 4;
  if (bytes.length < 20 || bytes.length < headerLength) {
    return { ...ports, ...seq, ...unless('data', dataText(bytes.subarray(8)), '') };
  }
  const flags = bytes[13] ?? 0;
  const letters = Array.from(tcpFlags).filter((_, bit) => (flags & (1 << bit)) !== 0);
  return {
    ...ports,
    flags: letters.join(''),
    ...seq,
    ...unless('ack', bytes.readUInt32BE(8), 0),
    ...unless('window', bytes.readUInt16BE(14), 64240),
    ...unless('urgent', bytes.readUInt16BE(18), 0),
    ...unless('options', hexText(bytes.subarray(20, headerLength)), ''),
    ...unless('checksum', transportChecksum(bytes, 16, protocols.tcp, around), undefined),
    ...unless('data', dataText(bytes.subarray(headerLength)), ''),
  };
}

function udp(bytes: Buffer, around: Around): UdpText {
  return { ...udpHeader(bytes, around), ...unless('data', dataText(bytes.subarray(8)), '') };
}

function udpHeader(bytes: Buffer, around: Around): UdpText {
  const none = bytes.readUInt16BE(6) === 0;
  return {
    sport: bytes.readUInt16BE(0),
    dport: bytes.readUInt16BE(2),
    ...unless('length', bytes.readUInt16BE(4), bytes.length),
    ...unless('checksum', none ? 'none' : transportChecksum(bytes, 6, protocols.udp, around), undefined),
  };
}

function icmp(bytes: Buffer, around: Around): IcmpText {
  const type = bytes[0] ?? 0;
  const code = bytes[1] ?? 0;
  const names = Object.entries(icmpNames(around.family));
  const is =
    names.find(([, numbers]) => numbers[0] === type && numbers[1] === code)?.[0] ??
    `type ${type} code ${code}`;
  const protocol = around.family === 4 ? protocols.icmp : protocols.icmpv6;
  const checksum = unless('checksum', transportChecksum(bytes, 2, protocol, around), undefined);
  const rest = bytes.subarray(8);
  if (isEcho(is)) {
    const [id, seq] = [bytes.readUInt16BE(4), bytes.readUInt16BE(6)];
    return {
      is,
      ...checksum,
      ...unless('id', id, 0),
      ...unless('seq', seq, 0),
      ...unless('data', dataText(rest), ''),
    };
  }
  const word = hexText(bytes.subarray(4, 8));
  const second = hasMtu(is) ? { mtu: bytes.readUInt32BE(4) } : unless('rest', word, '00000000');
  if (quotes(around.family, type) && rest.length >= 28)
    return { is, ...checksum, ...second, quotes: decode(rest, true) };
  return { is, ...checksum, ...second, ...unless('data', dataText(rest), '') };
}

function gue(bytes: Buffer, around: Around): GueText {
  const headerEnd = 8 + 4 + ((bytes[8] ?? 0) & 31) * 4;
  return {
    ...udpHeader(bytes, around),
    header: hexText(bytes.subarray(8, headerEnd)),
    packet: decode(bytes.subarray(headerEnd)),
  };
}

function gre(bytes: Buffer): GreText {
  const flags = bytes.readUInt16BE(0);
  if (flags === 0) return { packet: decode(bytes.subarray(4)) };
  if (flags !== 0x8000) throw new Error(`GRE flags: ${hexText(bytes)}`);
  const checksum = internetChecksum(bytes) === 0 ? 'ok' : hex(bytes, 4);
  return { checksum, packet: decode(bytes.subarray(8)) };
}

/** The checksum as it is, where it is wrong or cannot be told; undefined where it is right. */
function transportChecksum(
  bytes: Buffer,
  at: number,
  protocol: number,
  around: Around,
): Checksum | undefined {
  const { family, source, destination, whole } = around;
  if (!whole) return hex(bytes, at);
  const plain = protocol === protocols.icmp && family === 4;
  const pseudo = plain ? new Uint8Array(0) : pseudoHeader(source, destination, protocol, bytes.length);
  return internetChecksum(pseudo, bytes) === 0 ? undefined : hex(bytes, at);
}

function hex(bytes: Buffer, at: number): Checksum {
  return `0x${bytes.subarray(at, at + 2).toString('hex')}`;
}

/** The property, or nothing when it has its default value. */
function unless<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
  byDefault: Value | undefined,
): Partial<Record<Name, Value>> {
  return value === byDefault || value === undefined ? {} : ({ [name]: value } as Record<Name, Value>);
}
