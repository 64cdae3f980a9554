/** A packet in words to its bytes, with every checksum that the text does not give. */
import { internetChecksum, pseudoHeader } from './internet-checksum.ts';
import type { Checksum, Free, GreText, GueText, IcmpText, PacketText, TcpText } from './packet-text.ts';
import { dataBytes, hasMtu, hexBytes, icmpNames, isEcho, protocols, tcpFlags } from './packet-text.ts';
import { addressBytes } from '../../src/util/ip.ts';

export function encode(packet: PacketText): Uint8Array {
  const family = packet.src.includes(':') ? 6 : 4;
  const [protocol, payload] = transport(packet, family);
  return family === 4 ? ipv4(packet, protocol, payload) : ipv6(packet, protocol, payload);
}

function ipv4(packet: PacketText, protocol: number, payload: Uint8Array): Uint8Array {
  const options = hexBytes(packet.options ?? '');
  const header = Buffer.alloc(20 + options.length);
  const flags = ((packet.df ?? true) ? 0x4000 : 0) | (packet.mf === true ? 0x2000 : 0);
  header[0] = 0x40 | (header.length / 4);
  header[1] = packet.tos ?? 0;
  header.writeUInt16BE(packet.length ?? header.length + payload.length, 2);
  header.writeUInt16BE(known(packet.id ?? 0), 4);
  header.writeUInt16BE(flags | ((packet.offset ?? 0) / 8), 6);
  header[8] = packet.ttl ?? 64;
  header[9] = protocol;
  header.set(addressBytes(packet.src), 12);
  header.set(addressBytes(packet.dst), 16);
  header.set(options, 20);
  header.writeUInt16BE(checksum(packet.headerChecksum, internetChecksum(header)), 10);
  return Buffer.concat([header, payload]);
}

function ipv6(packet: PacketText, protocol: number, payload: Uint8Array): Uint8Array {
  const extensions: Buffer[] = [];
  let next = protocol;
  if (packet.id !== undefined || packet.mf !== undefined || packet.offset !== undefined) {
    const fragment = Buffer.alloc(8);
    fragment[0] = next;
    fragment.writeUInt16BE((packet.offset ?? 0) | (packet.mf === true ? 1 : 0), 2);
    fragment.writeUInt32BE(known(packet.id ?? 0), 4);
    extensions.unshift(fragment);
    next = protocols.fragment;
  }
  if (packet.hopByHop !== undefined) {
    extensions.unshift(Buffer.concat([Uint8Array.of(next), hexBytes(packet.hopByHop)]));
    next = 0;
  }
  const rest = Buffer.concat([...extensions, payload]);
  const header = Buffer.alloc(40);
  header.writeUInt32BE((6 * 2 ** 28 + (packet.tos ?? 0) * 2 ** 20 + known(packet.flow ?? 0)) >>> 0, 0);
  header.writeUInt16BE(packet.length === undefined ? rest.length : packet.length - 40, 4);
  header[6] = next;
  header[7] = packet.ttl ?? 64;
  header.set(addressBytes(packet.src), 8);
  header.set(addressBytes(packet.dst), 24);
  return Buffer.concat([header, rest]);
}

function transport(packet: PacketText, family: 4 | 6): [protocol: number, bytes: Uint8Array] {
  const pseudo = (protocol: number, bytes: Uint8Array) =>
    pseudoHeader(addressBytes(packet.src), addressBytes(packet.dst), protocol, bytes.length);
  if (packet.tcp) return [protocols.tcp, tcp(packet.tcp, (bytes) => pseudo(protocols.tcp, bytes))];
  if (packet.udp) {
    const data = dataBytes(packet.udp.data ?? '');
    return [protocols.udp, udp(packet.udp, data, (bytes) => pseudo(protocols.udp, bytes))];
  }
  if (packet.icmp) {
    const protocol = family === 4 ? protocols.icmp : protocols.icmpv6;
    const covered = (bytes: Uint8Array) => (family === 4 ? new Uint8Array(0) : pseudo(protocol, bytes));
    return [protocol, icmp(packet.icmp, family, covered)];
  }
  if (packet.ipip)
    return [packet.ipip.src.includes(':') ? protocols.ip6 : protocols.ipip, encode(packet.ipip)];
  if (packet.gue) return [protocols.udp, gue(packet.gue, (bytes) => pseudo(protocols.udp, bytes))];
  if (packet.gre) return [protocols.gre, gre(packet.gre)];
  if (packet.protocol === undefined) throw new Error('a packet without a protocol');
  return [packet.protocol, dataBytes(packet.payload ?? '')];
}

type Pseudo = (bytes: Uint8Array) => Uint8Array;

function tcp(text: TcpText, pseudo: Pseudo): Uint8Array {
  const data = dataBytes(text.data ?? '');
  const options = hexBytes(text.options ?? '');
  const header = Buffer.alloc(20 + options.length);
  header.writeUInt16BE(text.sport, 0);
  header.writeUInt16BE(text.dport, 2);
  header.writeUInt32BE(text.seq ?? 0, 4);
  if (text.flags === undefined) return Buffer.concat([header.subarray(0, 8), data]);
  header.writeUInt32BE(text.ack ?? 0, 8);
  header[12] = (header.length / 4) << 4;
  header[13] = Array.from(text.flags, flagBit).reduce((sum, bit) => sum | bit, 0);
  header.writeUInt16BE(text.window ?? 64240, 14);
  header.writeUInt16BE(text.urgent ?? 0, 18);
  header.set(options, 20);
  const segment = Buffer.concat([header, data]);
  segment.writeUInt16BE(checksum(text.checksum, internetChecksum(pseudo(segment), segment)), 16);
  return segment;
}

function flagBit(letter: string): number {
  const bit = tcpFlags.indexOf(letter);
  if (bit < 0) throw new Error(`no TCP flag ${letter}`);
  return 1 << bit;
}

function udp(
  text: {
    readonly sport: Free;
    readonly dport: number;
    readonly length?: number;
    readonly checksum?: Checksum;
  },
  data: Uint8Array,
  pseudo: Pseudo,
): Uint8Array {
  const datagram = Buffer.concat([Buffer.alloc(8), data]);
  datagram.writeUInt16BE(known(text.sport), 0);
  datagram.writeUInt16BE(text.dport, 2);
  datagram.writeUInt16BE(text.length ?? datagram.length, 4);
  const right = internetChecksum(pseudo(datagram), datagram);
  datagram.writeUInt16BE(checksum(text.checksum, right === 0 ? 0xffff : right), 6);
  return datagram;
}

function icmp(text: IcmpText, family: 4 | 6, pseudo: Pseudo): Uint8Array {
  const numbers = /^type (\d+) code (\d+)$/.exec(text.is);
  const known = icmpNames(family)[text.is];
  if (!numbers && !known) throw new Error(`no ICMP message ${text.is}`);
  const content = text.quotes ? encode(text.quotes) : dataBytes(text.data ?? '');
  const message = Buffer.concat([Buffer.alloc(8), content]);
  message[0] = known ? known[0] : Number(numbers?.[1]);
  message[1] = known ? known[1] : Number(numbers?.[2]);
  if (isEcho(text.is)) {
    message.writeUInt16BE(text.id ?? 0, 4);
    message.writeUInt16BE(text.seq ?? 0, 6);
  } else if (hasMtu(text.is)) message.writeUInt32BE(text.mtu ?? 0, 4);
  else message.set(hexBytes(text.rest ?? ''), 4);
  message.writeUInt16BE(checksum(text.checksum, internetChecksum(pseudo(message), message)), 2);
  return message;
}

function gue(text: GueText, pseudo: Pseudo): Uint8Array {
  return udp(text, Buffer.concat([hexBytes(text.header), encode(text.packet)]), pseudo);
}

function gre(text: GreText): Uint8Array {
  const header = Buffer.alloc(text.checksum === undefined ? 4 : 8);
  header.writeUInt16BE(text.packet.src.includes(':') ? 0x86dd : 0x0800, 2);
  const bytes = Buffer.concat([header, encode(text.packet)]);
  if (text.checksum === undefined) return bytes;
  bytes[0] = 0x80;
  bytes.writeUInt16BE(
    checksum(text.checksum === 'ok' ? undefined : text.checksum, internetChecksum(bytes)),
    4,
  );
  return bytes;
}

function checksum(asked: Checksum | undefined, right: number): number {
  if (asked === undefined) return right;
  if (asked === 'none') return 0;
  return asked === 'bad' ? right ^ 0x0101 : Number(asked);
}

function known(value: Free): number {
  if (value === 'any') throw new Error('"any" is for packets that come out');
  return value;
}
