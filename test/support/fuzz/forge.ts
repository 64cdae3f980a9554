/**
 * Packets as bytes, quickly, for the fuzzer: by default right in every field, with every field open to lies. Shares no code with
 * `src/wire`.
 */
import { internetChecksum } from '../internet-checksum.ts';

export const protocols = {
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ip6: 41,
  gre: 47,
  esp: 50,
  icmpv6: 58,
} as const;

/** 4 or 16 bytes each. */
export interface Ends {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

export interface IpFields {
  readonly ttl?: number;
  readonly trafficClass?: number;
  readonly identification?: number;
  /** IPv4: flags and fragment offset. */
  readonly fragment?: number;
  /** IPv4: a multiple of 4 bytes. */
  readonly options?: Uint8Array;
  /** IPv6: a chain of extension headers, of which the last names the protocol; the first is of type `first`. */
  readonly extensions?: { readonly first: number; readonly bytes: Uint8Array };
}

export function familyOf({ source }: Ends): 4 | 6 {
  return source.length === 4 ? 4 : 6;
}

export function ip(ends: Ends, protocol: number, payload: Uint8Array, fields: IpFields = {}): Uint8Array {
  return familyOf(ends) === 4 ? ipv4(ends, protocol, payload, fields) : ipv6(ends, protocol, payload, fields);
}

function ipv4(ends: Ends, protocol: number, payload: Uint8Array, fields: IpFields): Uint8Array {
  const { options = new Uint8Array(0), fragment = 0x4000, identification = 0 } = fields;
  const header = 20 + options.length;
  const packet = new Uint8Array(header + payload.length);
  packet[0] = 0x40 | (header >> 2);
  packet[1] = fields.trafficClass ?? 0;
  put16(packet, 2, packet.length);
  put16(packet, 4, identification);
  put16(packet, 6, fragment);
  packet[8] = fields.ttl ?? 64;
  packet[9] = protocol;
  packet.set(ends.source, 12);
  packet.set(ends.destination, 16);
  packet.set(options, 20);
  packet.set(payload, header);
  sealHeader(packet);
  return packet;
}

function ipv6(ends: Ends, protocol: number, payload: Uint8Array, fields: IpFields): Uint8Array {
  const { extensions = { first: protocol, bytes: new Uint8Array(0) } } = fields;
  const length = extensions.bytes.length + payload.length;
  const packet = new Uint8Array(40 + length);
  const traffic = fields.trafficClass ?? 0;
  packet[0] = 0x60 | (traffic >> 4);
  packet[1] = (traffic << 4) & 0xff;
  put16(packet, 4, length);
  packet[6] = extensions.first;
  packet[7] = fields.ttl ?? 64;
  packet.set(ends.source, 8);
  packet.set(ends.destination, 24);
  packet.set(extensions.bytes, 40);
  packet.set(payload, 40 + extensions.bytes.length);
  return packet;
}

export function tcp(ends: Ends, from: number, to: number, flags: number, data: Uint8Array): Uint8Array {
  const segment = new Uint8Array(20 + data.length);
  put16(segment, 0, from);
  put16(segment, 2, to);
  segment[12] = 0x50;
  segment[13] = flags;
  put16(segment, 14, 64240);
  segment.set(data, 20);
  put16(segment, 16, transportChecksum(ends, protocols.tcp, segment));
  return segment;
}

export function udp(ends: Ends, from: number, to: number, data: Uint8Array): Uint8Array {
  const datagram = new Uint8Array(8 + data.length);
  put16(datagram, 0, from);
  put16(datagram, 2, to);
  put16(datagram, 4, datagram.length);
  datagram.set(data, 8);
  put16(datagram, 6, transportChecksum(ends, protocols.udp, datagram) || 0xffff);
  return datagram;
}

/** ICMP or ICMPv6. @param rest the four bytes after the checksum */
export function icmp(
  ends: Ends,
  type: number,
  code: number,
  rest: number,
  content: Uint8Array,
): [protocol: number, bytes: Uint8Array] {
  const message = new Uint8Array(8 + content.length);
  message[0] = type;
  message[1] = code;
  put16(message, 4, rest >>> 16);
  put16(message, 6, rest);
  message.set(content, 8);
  const ofIpv4 = familyOf(ends) === 4;
  const protocol = ofIpv4 ? protocols.icmp : protocols.icmpv6;
  put16(message, 2, ofIpv4 ? internetChecksum(message) : transportChecksum(ends, protocol, message));
  return [protocol, message];
}

/** Writes IPv4's header checksum, as far as there is a header. */
export function sealHeader(packet: Uint8Array): void {
  const length = Math.min(((packet[0] ?? 0) & 15) * 4, packet.length);
  if (length < 20) return;
  put16(packet, 10, 0);
  put16(packet, 10, internetChecksum(packet.subarray(0, length)));
}

/** What the field, zero until then, should hold; 0 over bytes that contain their own right checksum. */
export function transportChecksum(ends: Ends, protocol: number, bytes: Uint8Array): number {
  const tail = Uint8Array.of(bytes.length >>> 8, bytes.length, 0, protocol);
  return internetChecksum(ends.source, ends.destination, tail, bytes);
}

/** What stands in the checksum field of a packet whose sender leaves the rest to hardware. */
export function pseudoHeaderSum(ends: Ends, protocol: number, length: number): number {
  return (
    0xffff - internetChecksum(ends.source, ends.destination, Uint8Array.of(length >>> 8, length, 0, protocol))
  );
}

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
}
