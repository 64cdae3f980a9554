/**
 * The tunnels of IPVS: IP in IP (RFC 2003, RFC 2473), GUE (generic UDP encapsulation, version 0) and GRE (RFC 2784),
 * each over IPv4 or IPv6, with the outer header fields that the kernel sets.
 */
import { copyBytes, write16 } from './bytes.ts';
import { fold, sum } from './checksum.ts';
import { ipHeaderLength, pseudoHeaderChecksum, sealIpv4, writeIpHeader } from './ip-header.ts';
import type { IpPacket } from './ip-packet.ts';
import { Protocol } from './protocols.ts';

export interface Outer {
  readonly kind: 'ipip' | 'gue' | 'gre';
  readonly family: 4 | 6;
  readonly source: Int32Array;
  readonly destination: Int32Array;
  /** UDP destination port of gue. */
  readonly port: number;
  /** Of gue (UDP) and gre. */
  readonly checksum: boolean;
  /** The outer packet has DF where the inner has: sysctl pmtu_disc. */
  readonly copyDf: boolean;
}

const ECN = 0x03;
const ECT0 = 0x02;
const DONT_FRAGMENT = 0x4000;
const UDP_HEADER = 8;
const GUE_HEADER = 4;
const GRE_CHECKSUM_PRESENT = 0x80;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;

/** Where Linux takes its own source ports from: ip_local_port_range. */
const FIRST_PORT = 32768;
const PORTS = 60999 - FIRST_PORT;

/** Bytes that the tunnel puts before the inner packet. */
export function overhead(outer: Pick<Outer, 'kind' | 'family' | 'checksum'>): number {
  return ipHeaderLength(outer.family) + tunnelHeaderLength(outer);
}

function tunnelHeaderLength({ kind, checksum }: Pick<Outer, 'kind' | 'checksum'>): number {
  switch (kind) {
    case 'ipip':
      return 0;
    case 'gue':
      return UDP_HEADER + GUE_HEADER;
    case 'gre':
      return checksum ? 8 : 4;
  }
}

/**
 * Writes the outer packet, TTL and traffic class as in the inner one, but for a mark of congestion. When `into` is the inner packet's own buffer and
 * `at` is overhead() before it, nothing is copied.
 * @param identification of an outer IPv4 header without DF; with DF it is 0
 * @returns its length; 0 when it would be longer than an IP packet can be (nothing is written)
 */
export function encapsulate(
  inner: IpPacket,
  outer: Outer,
  into: Uint8Array,
  at: number,
  identification: number,
): number {
  const header = ipHeaderLength(outer.family);
  const tunnel = tunnelHeaderLength(outer);
  const payload = tunnel + inner.length;
  if (payload + (outer.family === 4 ? header : 0) > 0xffff) return 0;
  const sourcePort = outer.kind === 'gue' ? flowPort(inner) : 0;
  copyBytes(inner.bytes, inner.at, inner.length, into, at + header + tunnel);
  writeIpHeader(
    into,
    at,
    outer,
    protocolOf(outer, inner),
    payload,
    inner.ttl,
    outerTrafficClass(inner.trafficClass),
  );
  if (outer.family === 4) {
    const dontFragment = outer.copyDf && inner.family === 4 && inner.dontFragment;
    sealIpv4(into, at, header, dontFragment ? 0 : identification, dontFragment ? DONT_FRAGMENT : 0);
  }
  if (outer.kind === 'gue') writeGue(into, at, outer, inner.family, sourcePort, payload);
  else if (outer.kind === 'gre') writeGre(into, at + header, outer, inner.family, payload);
  return header + payload;
}

/** Congestion that was experienced so far is the inner header's to tell (RFC 3168, section 9.1.1: the full functionality). */
function outerTrafficClass(inner: number): number {
  return (inner & ECN) === ECN ? (inner & ~ECN) | ECT0 : inner;
}

function protocolOf({ kind }: Outer, inner: IpPacket): number {
  if (kind === 'gue') return Protocol.udp;
  return kind === 'gre' ? Protocol.gre : innerProtocol(inner.family);
}

function innerProtocol(family: 4 | 6): number {
  return family === 4 ? Protocol.ipip : Protocol.ipv6;
}

function writeGue(
  into: Uint8Array,
  at: number,
  outer: Outer,
  innerFamily: 4 | 6,
  sourcePort: number,
  length: number,
): void {
  const udp = at + ipHeaderLength(outer.family);
  write16(into, udp, sourcePort);
  write16(into, udp + 2, outer.port);
  write16(into, udp + 4, length);
  write16(into, udp + 6, 0);
  into[udp + 8] = 0;
  into[udp + 9] = innerProtocol(innerFamily);
  write16(into, udp + 10, 0);
  if (!outer.checksum) return;
  const checksum = pseudoHeaderChecksum(into, at, outer.family, Protocol.udp, udp, length);
  write16(into, udp + 6, checksum === 0 ? 0xffff : checksum);
}

function writeGre(into: Uint8Array, gre: number, outer: Outer, innerFamily: 4 | 6, length: number): void {
  into[gre] = outer.checksum ? GRE_CHECKSUM_PRESENT : 0;
  into[gre + 1] = 0;
  write16(into, gre + 2, innerFamily === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
  if (!outer.checksum) return;
  into.fill(0, gre + 4, gre + 8);
  write16(into, gre + 4, ~fold(sum(into, gre, length)));
}

/** The same for all packets of a flow, so that routers and network cards on the way spread flows, not packets. */
function flowPort(inner: IpPacket): number {
  let hash = inner.protocol ^ (inner.sourcePort << 16) ^ inner.destinationPort;
  for (let i = 0; i < 4; i++) {
    hash = Math.imul(hash ^ inner.sourceWord(i), 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 15) ^ inner.destinationWord(i), 0x85ebca6b);
  }
  hash ^= hash >>> 16;
  return FIRST_PORT + Math.floor(((hash >>> 0) * PORTS) / 2 ** 32);
}
