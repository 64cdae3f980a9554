/** What is wrong with the bytes of a packet that somebody sends, in words; the checks are this file's own, not those of `src/wire`. */
import { internetChecksum } from '../internet-checksum.ts';
import { get16, protocols, transportChecksum } from './forge.ts';

const guePort = 6080;

/**
 * @param sound besides its structure all of its checksums have to be right: those of packets in tunnels too, not those of packets that
 *   an ICMP message quotes
 * @param arrived it goes no further: a TTL of 0 will do
 */
export function packetFault(packet: Uint8Array, sound: boolean, arrived = false): string | undefined {
  const version = (packet[0] ?? 0) >> 4;
  if (packet[version === 4 ? 8 : 7] === 0 && !arrived) return 'TTL';
  if (version === 4) return faultOfIpv4(packet, sound);
  return version === 6 ? faultOfIpv6(packet, sound) : `version ${version}`;
}

function faultOfIpv4(packet: Uint8Array, sound: boolean): string | undefined {
  const header = ((packet[0] ?? 0) & 15) * 4;
  if (packet.length < 20 || header < 20 || header > packet.length) return 'header length';
  if (get16(packet, 2) !== packet.length) return `total length ${get16(packet, 2)} of ${packet.length}`;
  if (internetChecksum(packet.subarray(0, header)) !== 0) return 'header checksum';
  if ((get16(packet, 6) & 0x3fff) !== 0) return undefined;
  const ends = { source: packet.subarray(12, 16), destination: packet.subarray(16, 20) };
  return faultOfTransport(ends, packet[9] ?? 0, packet.subarray(header), sound);
}

function faultOfIpv6(packet: Uint8Array, sound: boolean): string | undefined {
  if (packet.length < 40) return 'shorter than its header';
  if (get16(packet, 4) + 40 !== packet.length) return `payload ${get16(packet, 4)} of ${packet.length - 40}`;
  let next = packet[6] ?? 0;
  let at = 40;
  while (next === 0 || next === 43 || next === 44 || next === 60) {
    if (at + 8 > packet.length) return 'extension headers longer than it is';
    if (next === 44 && (get16(packet, at + 2) & 0xfff9) !== 0) return undefined;
    const length = next === 44 ? 8 : ((packet[at + 1] ?? 0) + 1) * 8;
    next = packet[at] ?? 0;
    at += length;
  }
  if (at > packet.length) return 'extension headers longer than it is';
  const ends = { source: packet.subarray(8, 24), destination: packet.subarray(24, 40) };
  return faultOfTransport(ends, next, packet.subarray(at), sound);
}

/** A client may have been served on the tunnels' port. */
function isGue(datagram: Uint8Array): boolean {
  const ofIp = datagram[9] === protocols.ipip || datagram[9] === protocols.ip6;
  return get16(datagram, 2) === guePort && datagram.length >= 32 && datagram[8] === 0 && ofIp;
}

function faultOfTransport(
  ends: { source: Uint8Array; destination: Uint8Array },
  protocol: number,
  bytes: Uint8Array,
  sound: boolean,
): string | undefined {
  const wrong = () => transportChecksum(ends, protocol, bytes) !== 0;
  switch (protocol) {
    case protocols.tcp: {
      const header = ((bytes[12] ?? 0) >> 4) * 4;
      if (bytes.length < 20 || header < 20 || header > bytes.length) return 'TCP header length';
      return sound && wrong() ? 'TCP checksum' : undefined;
    }
    case protocols.udp: {
      const length = get16(bytes, 4);
      if (bytes.length < 8 || length < 8 || length > bytes.length) return 'UDP length';
      if (!sound) return undefined;
      const none = get16(bytes, 6) === 0;
      const isTunnel = isGue(bytes);
      // a tunnel may do without one in IPv6 too (RFC 6935)
      if (none ? ends.source.length === 16 && !isTunnel : wrong()) return 'UDP checksum';
      return isTunnel ? packetFault(bytes.subarray(12), sound) : undefined;
    }
    case protocols.icmp:
      if (ends.source.length !== 4) return undefined;
      if (bytes.length < 8) return 'ICMP header length';
      return sound && internetChecksum(bytes) !== 0 ? 'ICMP checksum' : undefined;
    case protocols.icmpv6:
      if (ends.source.length !== 16) return undefined;
      if (bytes.length < 8) return 'ICMPv6 header length';
      return sound && wrong() ? 'ICMPv6 checksum' : undefined;
    case protocols.ipip:
    case protocols.ip6:
      return sound ? packetFault(bytes, sound) : undefined;
    case protocols.gre: {
      if (!sound) return undefined;
      const hasChecksum = bytes[0] === 0x80;
      if (hasChecksum && internetChecksum(bytes) !== 0) return 'GRE checksum';
      return packetFault(bytes.subarray(hasChecksum ? 8 : 4), sound);
    }
    default:
      return undefined;
  }
}
