/**
 * The Internet checksum (RFC 1071), its incremental update (RFC 1624), and the transport checksums over a pseudo-header
 * with UDP's rules for zero. Hot path: nothing here allocates.
 */
import { read16, write16 } from './bytes.ts';
import type { IpPacket } from './ip-packet.ts';
import { Protocol } from './protocols.ts';

/**
 * Sum of 16-bit words, carries not yet folded in; an odd last byte counts as the high half of a word.
 * @param initial a sum so far
 * @returns at most 32 bits, good as `initial` of another call
 */
export function sum(bytes: Uint8Array, at: number, length: number, initial = 0): number {
  // High and low bytes apart: two small integers, so the loop has no shifts and cannot overflow.
  let high = 0;
  let low = 0;
  const end = at + length;
  let i = at;
  for (; i + 8 <= end; i += 8) {
    high +=
      (bytes[i] as number) + (bytes[i + 2] as number) + (bytes[i + 4] as number) + (bytes[i + 6] as number);
    low +=
      (bytes[i + 1] as number) +
      (bytes[i + 3] as number) +
      (bytes[i + 5] as number) +
      (bytes[i + 7] as number);
  }
  for (; i + 2 <= end; i += 2) {
    high += bytes[i] as number;
    low += bytes[i + 1] as number;
  }
  if (i < end) high += bytes[i] as number;
  const carry = low + ((high & 0xff) << 8);
  return (high >>> 8) + (carry & 0xffff) + (carry >>> 16) + (initial & 0xffff) + (initial >>> 16);
}

/** A sum with its carries folded in: 16 bits, not complemented. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** The checksum after a word it covers has changed: RFC 1624, equation 3. */
export function adjust(checksum: number, before16: number, after16: number): number {
  return applyDelta(checksum, (~before16 & 0xffff) + after16);
}

/** The checksum after many words have changed. @param delta the sum of (~before + after) of each */
export function applyDelta(checksum: number, delta: number): number {
  return ~fold((~checksum & 0xffff) + delta) & 0xffff;
}

/** Offset of the Internet checksum in the transport header, or -1: another protocol, or not in this fragment. */
export function checksumOffset(packet: IpPacket): number {
  if (packet.fragmentOffset !== 0) return -1;
  const offset = offsetOf(packet.protocol, packet.family);
  return packet.headerLength + offset + 2 > packet.length ? -1 : offset;
}

function offsetOf(protocol: number, family: 4 | 6): number {
  switch (protocol) {
    case Protocol.tcp:
      return 16;
    case Protocol.udp:
      return 6;
    case Protocol.icmp:
      return family === 4 ? 2 : -1;
    case Protocol.icmpv6:
      return family === 6 ? 2 : -1;
    default:
      return -1;
  }
}

/** What the field of a whole packet should hold (TCP, UDP, ICMP, ICMPv6): 16 bits, never 0 for UDP; others: 0. */
export function transportChecksum(packet: IpPacket): number {
  const offset = wholeOffset(packet);
  if (offset === -1) return 0;
  const { bytes, transport } = packet;
  const before = sum(bytes, transport, offset, pseudoHeaderSum(packet));
  const rest = transportLength(packet) - offset - 2;
  const checksum = ~fold(sum(bytes, transport + offset + 2, rest, before)) & 0xffff;
  return checksum === 0 && packet.protocol === Protocol.udp ? 0xffff : checksum;
}

/**
 * True also where nobody can say: a protocol without an Internet checksum, UDP over IPv4 without checksum, a fragment, a
 * quoted packet.
 */
export function transportIsValid(packet: IpPacket): boolean {
  const offset = wholeOffset(packet);
  if (offset === -1) return true;
  const { bytes, transport } = packet;
  if (packet.protocol === Protocol.udp && read16(bytes, transport + offset) === 0) return packet.family === 4;
  return fold(sum(bytes, transport, transportLength(packet), pseudoHeaderSum(packet))) === 0xffff;
}

/**
 * The field holds just the sum of the pseudo-header: a sender on this host has left the rest to the network card. Looks
 * at addresses, length and protocol only.
 */
export function hasPartialChecksum(packet: IpPacket): boolean {
  const offset = wholeOffset(packet);
  if (offset === -1 || packet.protocol === Protocol.icmp) return false;
  return read16(packet.bytes, packet.transport + offset) === fold(pseudoHeaderSum(packet));
}

/** Writes the checksum of a whole packet. */
export function completeChecksum(packet: IpPacket): void {
  const offset = wholeOffset(packet);
  if (offset !== -1) write16(packet.bytes, packet.transport + offset, transportChecksum(packet));
}

/** {@link checksumOffset} of a packet all of which is there, or -1. */
function wholeOffset(packet: IpPacket): number {
  return packet.moreFragments || packet.quoted ? -1 : checksumOffset(packet);
}

/** Bytes that the checksum covers: UDP says it itself, and may be followed by padding. */
function transportLength(packet: IpPacket): number {
  return packet.protocol === Protocol.udp
    ? read16(packet.bytes, packet.transport + 4)
    : packet.length - packet.headerLength;
}

/** Sum of addresses, protocol and length; ICMP has no pseudo-header. */
function pseudoHeaderSum(packet: IpPacket): number {
  const { bytes, at, protocol } = packet;
  if (protocol === Protocol.icmp) return 0;
  const rest = protocol + transportLength(packet);
  return packet.family === 4 ? sum(bytes, at + 12, 8, rest) : sum(bytes, at + 8, 32, rest);
}
