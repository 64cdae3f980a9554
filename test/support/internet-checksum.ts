/** The Internet checksum (RFC 1071), the plain way: over all of the bytes, each time. */

/** @returns 0 over bytes that contain their own right checksum; else what the field, zero until then, should hold */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const bytes of parts) {
    for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = Math.floor(sum / 0x10000) + (sum % 0x10000);
  return 0xffff - sum;
}

/** What TCP, UDP and ICMPv6 checksum along with their segment (RFC 793, RFC 8200 section 8.1). */
export function pseudoHeader(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  length: number,
): Uint8Array {
  const tail = [length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255, 0, 0, 0, protocol];
  return Uint8Array.from([...source, ...destination, ...tail]);
}
