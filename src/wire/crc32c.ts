/** CRC-32C (Castagnoli), the checksum of SCTP (RFC 9260, appendix A). */
import type { IpPacket } from './ip-packet.ts';

const CHECKSUM_AT = 8;

const table = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

/** @returns 32 bits, unsigned */
export function crc32c(bytes: Uint8Array, at: number, length: number): number {
  let crc = -1;
  for (let i = at; i < at + length; i++) {
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[i] as number)) & 0xff] as number);
  }
  return ~crc >>> 0;
}

/** Writes the checksum of a whole SCTP packet: least significant byte first, unlike everything else. */
export function writeSctpChecksum(packet: IpPacket): void {
  const { bytes } = packet;
  const field = packet.transport + CHECKSUM_AT;
  bytes.fill(0, field, field + 4);
  const crc = crc32c(bytes, packet.transport, packet.length - packet.headerLength);
  for (let i = 0; i < 4; i++) bytes[field + i] = crc >>> (8 * i);
}
