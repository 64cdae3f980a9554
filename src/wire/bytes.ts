/**
 * Big-endian numbers and copies in byte arrays, without allocating. Nothing here checks bounds: callers read a packet
 * only after its view has said that the bytes are there.
 */

export function read16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

/** Signed. */
export function read32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

export function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function write32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Address words (four of IPv6; word 0 of IPv4) as the header holds them. */
export function writeAddress(bytes: Uint8Array, at: number, address: Int32Array, family: 4 | 6): void {
  write32(bytes, at, address[0] as number);
  if (family === 4) return;
  for (let i = 1; i < 4; i++) write32(bytes, at + 4 * i, address[i] as number);
}

/** Below this many bytes a loop is quicker than the view that TypedArray.set needs. */
const LOOP_LIMIT = 128;

/** The two may be the same array, and overlap. */
export function copyBytes(from: Uint8Array, at: number, length: number, into: Uint8Array, to: number): void {
  if (from === into) {
    if (at !== to) into.copyWithin(to, at, at + length);
  } else if (length < LOOP_LIMIT && from.buffer !== into.buffer) {
    for (let i = 0; i < length; i++) into[to + i] = from[at + i] as number;
  } else {
    into.set(from.subarray(at, at + length), to);
  }
}
