/**
 * A view of one IPv4 or IPv6 packet in somebody's buffer (RFC 791, RFC 8200): read() validates it once, after that its
 * fields cannot fail. Made once and reused for every packet: hot path, nothing here allocates.
 */
import { read16, read32 } from './bytes.ts';
import { fold, sum } from './checksum.ts';
import { Protocol } from './protocols.ts';

/** Why a packet is none. */
export const Malformed = {
  none: 0,
  truncated: 1,
  version: 2,
  headerLength: 3,
  headerChecksum: 4,
  totalLength: 5,
  extensionHeaders: 6,
  transport: 7,
} as const;

/** What a first fragment, or the packet that an ICMP error quotes, has of its transport header at least. */
const LEAST_TRANSPORT = 8;
/** More extension headers than anybody sends (RFC 8504, section 5.3), so that walking them is bounded. */
const MOST_EXTENSION_HEADERS = 8;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;

export class IpPacket {
  bytes: Uint8Array = new Uint8Array(0);
  /** Where the IP header begins in bytes. */
  at = 0;
  /** Bytes of the whole packet, header and payload. Of a quoted packet: those that are there. */
  length = 0;
  family: 4 | 6 = 4;
  /** IPv4 header with options; IPv6 header with the extension headers before the transport header. */
  headerLength = 0;
  /** Of the transport header. In a later fragment: of the transport header that was in the first. */
  protocol = 0;
  /** Offset in bytes of the transport header: at + headerLength. */
  transport = 0;
  /** Or hop limit. */
  ttl = 0;
  /** TOS, or traffic class. */
  trafficClass = 0;
  /** Nobody but its sender may fragment it: always so for IPv6. */
  dontFragment = false;
  /** 16 bits; of IPv6 the 32 bits (signed) of the fragment header, or 0. */
  identification = 0;
  /** In bytes. */
  fragmentOffset = 0;
  moreFragments = false;
  /** IPv6: offset in bytes of the fragment header, or -1. */
  fragmentHeader = -1;
  /** Ports can be read: TCP, UDP or SCTP, and not a later fragment. */
  hasPorts = false;
  /** Read by readQuoted(). */
  quoted = false;

  /**
   * Looks at the packet that begins at `at`; what follows it (padding of the frame) does not count.
   * @param available bytes from `at` on that may be looked at
   * @returns one of {@link Malformed}; the fields are only right when it is none
   */
  read(bytes: Uint8Array, at: number, available: number): number {
    this.quoted = false;
    return this.#read(bytes, at, available);
  }

  /**
   * Like read(), for the packet quoted in an ICMP error: it may be cut after 8 bytes of transport header, and its IPv4
   * header checksum is not verified (routers on the way may have changed what it covers).
   */
  readQuoted(bytes: Uint8Array, at: number, available: number): number {
    this.quoted = true;
    return this.#read(bytes, at, available);
  }

  /** A part of a datagram. (An IPv6 packet whose fragment header says that it is whole is none.) */
  get isFragment(): boolean {
    return this.moreFragments || this.fragmentOffset !== 0;
  }

  /** Word 0 to 3, signed, in host order. IPv4 has word 0; its others are 0. */
  sourceWord(i: number): number {
    if (this.family === 6) return read32(this.bytes, this.at + 8 + 4 * i);
    return i === 0 ? read32(this.bytes, this.at + 12) : 0;
  }

  destinationWord(i: number): number {
    if (this.family === 6) return read32(this.bytes, this.at + 24 + 4 * i);
    return i === 0 ? read32(this.bytes, this.at + 16) : 0;
  }

  copySource(into: Int32Array): void {
    for (let i = 0; i < 4; i++) into[i] = this.sourceWord(i);
  }

  copyDestination(into: Int32Array): void {
    for (let i = 0; i < 4; i++) into[i] = this.destinationWord(i);
  }

  /** 0 where there are no ports. */
  get sourcePort(): number {
    return this.hasPorts ? read16(this.bytes, this.transport) : 0;
  }

  get destinationPort(): number {
    return this.hasPorts ? read16(this.bytes, this.transport + 2) : 0;
  }

  /** FIN 1, SYN 2, RST 4, PSH 8, ACK 16; 0 where the packet is not TCP or is cut before them. */
  get tcpFlags(): number {
    if (this.protocol !== Protocol.tcp || !this.hasPorts || this.headerLength + 14 > this.length) return 0;
    return this.bytes[this.transport + 13] as number;
  }

  /** Type of an ICMP or ICMPv6 message, or -1. */
  get icmpType(): number {
    const icmp = this.family === 4 ? Protocol.icmp : Protocol.icmpv6;
    return this.protocol === icmp && this.fragmentOffset === 0 ? (this.bytes[this.transport] as number) : -1;
  }

  #read(bytes: Uint8Array, at: number, available: number): number {
    if (available < 1) return Malformed.truncated;
    this.bytes = bytes;
    this.at = at;
    const version = (bytes[at] as number) >> 4;
    if (version !== 4 && version !== 6) return Malformed.version;
    const malformed = version === 4 ? this.#readIpv4(available) : this.#readIpv6(available);
    if (malformed !== Malformed.none) return malformed;
    this.transport = at + this.headerLength;
    const { protocol } = this;
    const ports = protocol === Protocol.tcp || protocol === Protocol.udp || protocol === Protocol.sctp;
    this.hasPorts = ports && this.fragmentOffset === 0;
    return this.#transportIsThere() ? Malformed.none : Malformed.transport;
  }

  #readIpv4(available: number): number {
    const { bytes, at } = this;
    if (available < 20) return Malformed.truncated;
    const headerLength = ((bytes[at] as number) & 0xf) << 2;
    if (headerLength < 20) return Malformed.headerLength;
    if (headerLength > available) return Malformed.truncated;
    let length = read16(bytes, at + 2);
    if (length < headerLength) return Malformed.totalLength;
    if (length > available) {
      if (!this.quoted) return Malformed.truncated;
      length = available;
    }
    if (!this.quoted && fold(sum(bytes, at, headerLength)) !== 0xffff) return Malformed.headerChecksum;
    const fragment = read16(bytes, at + 6);
    this.family = 4;
    this.length = length;
    this.headerLength = headerLength;
    this.trafficClass = bytes[at + 1] as number;
    this.identification = read16(bytes, at + 4);
    this.dontFragment = (fragment & DONT_FRAGMENT) !== 0;
    this.moreFragments = (fragment & MORE_FRAGMENTS) !== 0;
    this.fragmentOffset = (fragment & 0x1fff) << 3;
    this.fragmentHeader = -1;
    this.ttl = bytes[at + 8] as number;
    this.protocol = bytes[at + 9] as number;
    return Malformed.none;
  }

  #readIpv6(available: number): number {
    const { bytes, at } = this;
    if (available < 40) return Malformed.truncated;
    let length = 40 + read16(bytes, at + 4);
    if (length > available) {
      if (!this.quoted) return Malformed.truncated;
      length = available;
    }
    this.family = 6;
    this.length = length;
    this.trafficClass = (((bytes[at] as number) & 0xf) << 4) | ((bytes[at + 1] as number) >> 4);
    this.identification = 0;
    this.dontFragment = true;
    this.moreFragments = false;
    this.fragmentOffset = 0;
    this.fragmentHeader = -1;
    this.ttl = bytes[at + 7] as number;
    this.protocol = bytes[at + 6] as number;
    this.headerLength = 40;
    return isExtensionHeader(this.protocol) ? this.#readExtensionHeaders() : Malformed.none;
  }

  /**
   * Up to the transport header, or to the end of the fragment header of a later fragment. All of them must be in the
   * first fragment (RFC 7112). A routing header that is not used up is for another host behind this address, and has
   * been deprecated for long (RFC 5095).
   */
  #readExtensionHeaders(): number {
    const { bytes, at, length } = this;
    let next = this.protocol;
    let offset = 40;
    for (let count = 0; isExtensionHeader(next); count++) {
      const header = at + offset;
      if (count === MOST_EXTENSION_HEADERS || offset + 8 > length) return Malformed.extensionHeaders;
      if (next === Protocol.hopByHop && count > 0) return Malformed.extensionHeaders;
      if (next === Protocol.routing && bytes[header + 3] !== 0) return Malformed.extensionHeaders;
      if (next === Protocol.fragment) {
        if (this.fragmentHeader !== -1) return Malformed.extensionHeaders;
        this.#readFragmentHeader(header);
      }
      offset += next === Protocol.fragment ? 8 : ((bytes[header + 1] as number) + 1) << 3;
      if (offset > length) return Malformed.extensionHeaders;
      next = bytes[header] as number;
      if (this.fragmentOffset !== 0) break;
    }
    this.headerLength = offset;
    this.protocol = next;
    return Malformed.none;
  }

  #readFragmentHeader(header: number): void {
    const fragment = read16(this.bytes, header + 2);
    this.fragmentHeader = header;
    this.fragmentOffset = fragment & 0xfff8;
    this.moreFragments = (fragment & 1) !== 0;
    this.identification = read32(this.bytes, header + 4);
  }

  #transportIsThere(): boolean {
    if (this.fragmentOffset !== 0) return true;
    const { bytes, family, transport } = this;
    const length = this.length - this.headerLength;
    const cut = this.moreFragments || this.quoted;
    switch (this.protocol) {
      case Protocol.tcp: {
        if (cut) return length >= LEAST_TRANSPORT;
        if (length < 20) return false;
        const header = ((bytes[transport + 12] as number) >> 4) << 2;
        return header >= 20 && header <= length;
      }
      case Protocol.udp: {
        if (length < 8) return false;
        const datagram = read16(bytes, transport + 4);
        return cut || (datagram >= 8 && datagram <= length);
      }
      case Protocol.sctp:
        return length >= (cut ? LEAST_TRANSPORT : 12);
      case Protocol.icmp:
        return family === 6 || length >= LEAST_TRANSPORT;
      case Protocol.icmpv6:
        return family === 4 || length >= LEAST_TRANSPORT;
      default:
        return true;
    }
  }
}

function isExtensionHeader(protocol: number): boolean {
  return (
    protocol === Protocol.hopByHop ||
    protocol === Protocol.routing ||
    protocol === Protocol.fragment ||
    protocol === Protocol.destinationOptions
  );
}
