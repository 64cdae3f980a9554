/**
 * IP headers that this host writes itself: of tunnels, of ICMP errors, of fragments. No options, no extension headers.
 */
import { write16, write32, writeAddress } from './bytes.ts';
import { fold, sum } from './checksum.ts';

/** The family, and both addresses as words. */
export interface IpEnds {
  readonly family: 4 | 6;
  readonly source: Int32Array;
  readonly destination: Int32Array;
}

/** Bytes of an IP header without options. */
export function ipHeaderLength(family: 4 | 6): number {
  return family === 4 ? 20 : 40;
}

/**
 * Everything but what {@link sealIpv4} writes, which must follow for IPv4.
 * @param payload bytes after the header
 */
export function writeIpHeader(
  into: Uint8Array,
  at: number,
  ends: IpEnds,
  protocol: number,
  payload: number,
  ttl: number,
  trafficClass: number,
): void {
  const { family, source, destination } = ends;
  if (family === 4) {
    into[at] = 0x45;
    into[at + 1] = trafficClass;
    write16(into, at + 2, 20 + payload);
    into[at + 8] = ttl;
    into[at + 9] = protocol;
    writeAddress(into, at + 12, source, 4);
    writeAddress(into, at + 16, destination, 4);
  } else {
    write32(into, at, (6 << 28) | (trafficClass << 20));
    write16(into, at + 4, payload);
    into[at + 6] = protocol;
    into[at + 7] = ttl;
    writeAddress(into, at + 8, source, 6);
    writeAddress(into, at + 24, destination, 6);
  }
}

/** @param fragment the 16 bits of flags and fragment offset */
export function sealIpv4(
  into: Uint8Array,
  at: number,
  headerLength: number,
  identification: number,
  fragment: number,
): void {
  write16(into, at + 4, identification);
  write16(into, at + 6, fragment);
  write16(into, at + 10, 0);
  write16(into, at + 10, ~fold(sum(into, at, headerLength)));
}

/** Checksum of the `length` bytes at `at` with the pseudo-header of the IP header at `header`, whose field holds 0. */
export function pseudoHeaderChecksum(
  bytes: Uint8Array,
  header: number,
  family: 4 | 6,
  protocol: number,
  at: number,
  length: number,
): number {
  const addresses =
    family === 4
      ? sum(bytes, header + 12, 8, protocol + length)
      : sum(bytes, header + 8, 32, protocol + length);
  return ~fold(sum(bytes, at, length, addresses)) & 0xffff;
}
