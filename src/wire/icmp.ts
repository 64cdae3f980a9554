/**
 * ICMP (RFC 792): which messages are errors, and the errors that a router sends about a packet (RFC 1812, section 4.3),
 * as Linux fills them in.
 */
import { copyBytes, write16, write32 } from './bytes.ts';
import { fold, sum } from './checksum.ts';
import { writeIcmpv6Error } from './icmpv6.ts';
import { sealIpv4, writeIpHeader } from './ip-header.ts';
import type { IpPacket } from './ip-packet.ts';
import { Protocol } from './protocols.ts';

export const IcmpType = {
  echoReply: 0,
  unreachable: 3,
  sourceQuench: 4,
  redirect: 5,
  echo: 8,
  timeExceeded: 11,
  parameterProblem: 12,
} as const;

/** Codes of unreachable that the director sends or acts on. */
export const UnreachableCode = { net: 0, host: 1, port: 3, fragmentationNeeded: 4 } as const;

/** An ICMP error has the packet that it is about after so many bytes, in ICMPv6 too. */
export const ICMP_HEADER = 8;

/** The whole of an error is at most what every host can take. */
const LONGEST = 576;
const TTL = 64;
const TOS_MASK = 0x1e;
const INTERNETWORK_CONTROL = 0xc0;

/** @param type of ICMP; for ICMPv6 see isIcmpv6Error */
export function isIcmpError(type: number): boolean {
  switch (type) {
    case IcmpType.unreachable:
    case IcmpType.sourceQuench:
    case IcmpType.redirect:
    case IcmpType.timeExceeded:
    case IcmpType.parameterProblem:
      return true;
    default:
      return false;
  }
}

const ends = { family: 4, source: new Int32Array(4), destination: new Int32Array(4) } as const;

/**
 * Writes an IP packet with an ICMP error (ICMPv6 when `about` is IPv6) to the source of `about`, quoting it.
 * @param into another buffer than that of `about`, with 576 (IPv6: 1280) bytes from `at` on
 * @param source this host's address
 * @param rest the 32 bits after the checksum: the MTU in the low half, say; all 32 bits of an IPv6 MTU
 * @param identification of the IP header (IPv4)
 * @returns its length
 */
export function writeIcmpError(
  into: Uint8Array,
  at: number,
  about: IpPacket,
  source: Int32Array,
  type: number,
  code: number,
  rest: number,
  identification: number,
): number {
  if (about.family === 6) return writeIcmpv6Error(into, at, about, source, type, code, rest);
  const length = Math.min(20 + ICMP_HEADER + about.length, LONGEST);
  const icmp = at + 20;
  ends.source.set(source);
  about.copySource(ends.destination);
  const trafficClass = (about.trafficClass & TOS_MASK) | INTERNETWORK_CONTROL;
  writeIpHeader(into, at, ends, Protocol.icmp, length - 20, TTL, trafficClass);
  sealIpv4(into, at, 20, identification, 0);
  into[icmp] = type;
  into[icmp + 1] = code;
  write16(into, icmp + 2, 0);
  write32(into, icmp + 4, rest);
  copyBytes(about.bytes, about.at, length - 20 - ICMP_HEADER, into, icmp + ICMP_HEADER);
  write16(into, icmp + 2, ~fold(sum(into, icmp, length - 20)));
  return length;
}
