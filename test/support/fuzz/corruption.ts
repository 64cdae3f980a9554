/** What can become of a packet on its way, by accident or not. */
import { get16, put16, sealHeader } from './forge.ts';
import type { Random } from './random.ts';

/** A changed copy: bits turned over, cut short, lengths that lie, checksums that are wrong; half of them with a right IPv4 header checksum. */
export function corrupt(random: Random, packet: Uint8Array): Uint8Array {
  let bytes = packet.slice();
  if (bytes.length === 0) return bytes;
  const header = (bytes[0] ?? 0) >> 4 === 4 ? ((bytes[0] ?? 0) & 15) * 4 : 40;
  switch (random.below(6)) {
    case 0:
      for (let flips = 1 + random.below(8); flips > 0; flips--) flip(random, bytes, bytes.length);
      break;
    case 1:
      flip(random, bytes, Math.min(bytes.length, header + 20));
      break;
    case 2:
      bytes = bytes.subarray(0, random.below(bytes.length + 1));
      break;
    case 3: {
      const at = (bytes[0] ?? 0) >> 4 === 4 ? 2 : 4;
      put16(bytes, at, random.oneIn(2) ? random.below(65536) : get16(bytes, at) + random.below(16) - 8);
      break;
    }
    case 4:
      // the length of a UDP datagram, the data offset of TCP
      put16(bytes, header + 4, random.below(65536));
      if (header + 12 < bytes.length) bytes[header + 12] = random.below(256);
      break;
    case 5:
      put16(bytes, header + random.pick([2, 6, 16]), random.below(65536));
      break;
  }
  if (random.oneIn(2) && (bytes[0] ?? 0) >> 4 === 4) sealHeader(bytes);
  return bytes;
}

/** The same packet from somebody else, or the packet itself where that is of the other family. */
export function withSource(packet: Uint8Array, source: Uint8Array): Uint8Array {
  const ofIpv4 = (packet[0] ?? 0) >> 4 === 4;
  const at = ofIpv4 ? 12 : 8;
  if (packet.length < at + 24 || source.length !== (ofIpv4 ? 4 : 16)) return packet;
  const bytes = packet.slice();
  bytes.set(source, at);
  if (ofIpv4) sealHeader(bytes);
  return bytes;
}

function flip(random: Random, bytes: Uint8Array, length: number): void {
  const at = random.below(length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
}
