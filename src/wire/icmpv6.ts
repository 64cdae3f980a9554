/** ICMPv6 (RFC 4443): which messages are errors, and the errors that a router sends about a packet, as Linux does. */
import { copyBytes, write16, write32 } from './bytes.ts';
import { pseudoHeaderChecksum, writeIpHeader } from './ip-header.ts';
import type { IpPacket } from './ip-packet.ts';
import { Protocol } from './protocols.ts';

export const Icmpv6Type = {
  unreachable: 1,
  packetTooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echo: 128,
  echoReply: 129,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighbourSolicitation: 135,
  neighbourAdvertisement: 136,
  redirect: 137,
} as const;

/** Codes of unreachable that the director sends or acts on. */
export const Unreachable6Code = { noRoute: 0, address: 3, port: 4 } as const;

/** The whole of an error is at most what every IPv6 link can carry. */
const LONGEST = 1280;
const HEADERS = 40 + 8;
const HOP_LIMIT = 64;

export function isIcmpv6Error(type: number): boolean {
  return type < 128;
}

const ends = { family: 6, source: new Int32Array(4), destination: new Int32Array(4) } as const;

/** See writeIcmpError, which calls it for IPv6. */
export function writeIcmpv6Error(
  into: Uint8Array,
  at: number,
  about: IpPacket,
  source: Int32Array,
  type: number,
  code: number,
  rest: number,
): number {
  const length = Math.min(HEADERS + about.length, LONGEST);
  const icmp = at + 40;
  ends.source.set(source);
  about.copySource(ends.destination);
  writeIpHeader(into, at, ends, Protocol.icmpv6, length - 40, HOP_LIMIT, 0);
  into[icmp] = type;
  into[icmp + 1] = code;
  write16(into, icmp + 2, 0);
  write32(into, icmp + 4, rest);
  copyBytes(about.bytes, about.at, length - HEADERS, into, at + HEADERS);
  write16(into, icmp + 2, pseudoHeaderChecksum(into, at, 6, Protocol.icmpv6, icmp, length - 40));
  return length;
}
