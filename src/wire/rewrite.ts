/**
 * Network address translation of one packet in place: addresses, ports and TTL, with the checksums adjusted by what has
 * changed (RFC 1624). So a checksum that was wrong stays wrong, as it must. Hot path: nothing here allocates.
 */
import { read16, write16, writeAddress } from './bytes.ts';
import { applyDelta, checksumOffset } from './checksum.ts';
import { writeSctpChecksum } from './crc32c.ts';
import type { IpPacket } from './ip-packet.ts';
import { Protocol } from './protocols.ts';

/** @param port ignored where the packet has no ports: another protocol, or a later fragment */
export function rewriteSource(packet: IpPacket, address: Int32Array, port: number): void {
  rewrite(packet, packet.at + (packet.family === 4 ? 12 : 8), address, packet.transport, port);
}

/** @param port ignored where the packet has no ports: another protocol, or a later fragment */
export function rewriteDestination(packet: IpPacket, address: Int32Array, port: number): void {
  rewrite(packet, packet.at + (packet.family === 4 ? 16 : 24), address, packet.transport + 2, port);
}

/** The caller knows that it is more than 1, or at least not 0. */
export function decrementTtl(packet: IpPacket): void {
  const { bytes, at } = packet;
  const ttl = --packet.ttl;
  if (packet.family === 6) {
    bytes[at + 7] = ttl;
    return;
  }
  bytes[at + 8] = ttl;
  // ~before + after: the high byte of its word has become one less
  write16(bytes, at + 10, applyDelta(read16(bytes, at + 10), 0xffff - 0x100));
}

function rewrite(
  packet: IpPacket,
  addressAt: number,
  address: Int32Array,
  portAt: number,
  port: number,
): void {
  const { bytes, at, family } = packet;
  let delta = changeOf(bytes, addressAt, address, family);
  writeAddress(bytes, addressAt, address, family);
  if (family === 4) write16(bytes, at + 10, applyDelta(read16(bytes, at + 10), delta));
  let portChanged = false;
  if (packet.hasPorts) {
    const before = read16(bytes, portAt);
    portChanged = before !== port;
    delta += (~before & 0xffff) + port;
    write16(bytes, portAt, port);
  }
  if (packet.quoted) return;
  if (packet.protocol === Protocol.sctp) {
    // SCTP's checksum covers no addresses, and only the whole packet can be summed
    if (portChanged && !packet.isFragment) writeSctpChecksum(packet);
    return;
  }
  adjustTransport(packet, delta);
}

/** Sum of ~before + after of every 16 bits of an address. */
function changeOf(bytes: Uint8Array, at: number, address: Int32Array, family: 4 | 6): number {
  const words = family === 4 ? 1 : 4;
  let delta = 0;
  for (let i = 0; i < words; i++) {
    const word = address[i] as number;
    const before = at + 4 * i;
    delta += (~read16(bytes, before) & 0xffff) + (~read16(bytes, before + 2) & 0xffff);
    delta += (word >>> 16) + (word & 0xffff);
  }
  return delta;
}

/** UDP's 0 says that there is no checksum, so one that comes out as 0 is written as its other form. */
function adjustTransport(packet: IpPacket, delta: number): void {
  const offset = checksumOffset(packet);
  if (offset === -1 || packet.protocol === Protocol.icmp) return;
  const field = packet.transport + offset;
  const before = read16(packet.bytes, field);
  const udp = packet.protocol === Protocol.udp;
  if (udp && before === 0) return;
  const after = applyDelta(before, delta);
  write16(packet.bytes, field, udp && after === 0 ? 0xffff : after);
}
