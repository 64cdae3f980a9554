/** Fragments that do not fit together, IPv4 options and chains of IPv6 extension headers, sensible and not. */
import { get16, put16, sealHeader } from './forge.ts';
import type { IpFields } from './forge.ts';
import type { Random } from './random.ts';

const FRAGMENT = 44;

/** The packet in fragments: now and then with one too few, one twice, one that overlaps, or one that goes beyond the end. */
export function fragments(random: Random, packet: Uint8Array): Uint8Array[] {
  const version = (packet[0] ?? 0) >> 4;
  if (packet.length < (version === 4 ? 28 : 56)) return [];
  const header = version === 4 ? ((packet[0] ?? 0) & 15) * 4 : 40;
  if (header < 20 || header >= packet.length) return [];
  const payload = packet.subarray(header);
  const size = Math.max(8, payload.length > 4000 ? 1400 : random.pick([8, 16, 64, 256, 1024]));
  const identification = random.below(65536);
  const made: Uint8Array[] = [];
  for (let at = 0; at < payload.length && made.length < 2000; at += size) {
    const overlap = random.oneIn(200) ? 8 : 0;
    const piece = payload.subarray(Math.max(0, at - overlap), at + size);
    const more = at + size < payload.length ? !random.oneIn(200) : random.oneIn(20);
    const offset = random.oneIn(200) ? random.below(65536) & 0xfff8 : Math.max(0, at - overlap);
    const wrapped =
      version === 4
        ? fragmentOfIpv4(packet.subarray(0, header), piece, identification, offset, more)
        : fragmentOfIpv6(packet.subarray(0, header), piece, identification, offset, more);
    if (!random.oneIn(100)) made.push(wrapped);
    if (random.oneIn(100)) made.push(wrapped.slice());
  }
  return made;
}

function fragmentOfIpv4(
  header: Uint8Array,
  piece: Uint8Array,
  identification: number,
  offset: number,
  more: boolean,
): Uint8Array {
  const packet = new Uint8Array(header.length + piece.length);
  packet.set(header);
  packet.set(piece, header.length);
  put16(packet, 2, packet.length);
  put16(packet, 4, identification);
  put16(packet, 6, (get16(header, 6) & 0x4000) | (more ? 0x2000 : 0) | (offset >> 3));
  sealHeader(packet);
  return packet;
}

function fragmentOfIpv6(
  header: Uint8Array,
  piece: Uint8Array,
  identification: number,
  offset: number,
  more: boolean,
): Uint8Array {
  const packet = new Uint8Array(48 + piece.length);
  packet.set(header);
  put16(packet, 4, 8 + piece.length);
  packet[6] = FRAGMENT;
  packet[40] = header[6] ?? 0;
  put16(packet, 42, (offset & 0xfff8) | (more ? 1 : 0));
  put16(packet, 46, identification);
  packet.set(piece, 48);
  return packet;
}

/** A multiple of four bytes, at most forty: no-operations, record route, or nonsense. */
export function ipv4Options(random: Random): Uint8Array {
  const options = new Uint8Array(4 * (1 + random.below(10)));
  const kind = random.below(4);
  if (kind === 0) return options.fill(1);
  if (kind === 1) options.set([7, Math.min(options.length, 39), 4]);
  if (kind === 2) options.set([131, Math.min(options.length, 39), 4]);
  return kind === 3 ? random.bytes(options.length) : options;
}

/** Hop-by-hop, routing, fragment, destination options: in any order and number, mostly with a sensible end. */
export function extensionChain(random: Random, protocol: number): NonNullable<IpFields['extensions']> {
  const kinds = Array.from({ length: 1 + random.below(random.oneIn(5) ? 12 : 3) }, () =>
    random.pick([0, 43, FRAGMENT, 60, 60]),
  );
  const headers = kinds.map((kind, i) => {
    const length = kind === FRAGMENT ? 8 : 8 * (1 + random.below(random.oneIn(20) ? 256 : 4));
    const header = new Uint8Array(length);
    header[0] = kinds[i + 1] ?? protocol;
    if (kind === FRAGMENT) return header;
    header[1] = random.oneIn(30) ? random.below(256) : length / 8 - 1;
    if (kind === 43 && random.oneIn(4)) header[3] = random.below(256);
    // PadN over all of it
    if (kind !== 43) header.set([1, Math.min(255, length - 4)], 2);
    return header;
  });
  return { first: kinds[0] ?? protocol, bytes: new Uint8Array(Buffer.concat(headers)) };
}

/** An IPv6 hop-by-hop header of so many bytes, a multiple of 8, without its first byte. */
export function extensionHeader(length: number): Uint8Array {
  const header = new Uint8Array(length - 1);
  header[0] = length / 8 - 1;
  header.set([1, 253], 1);
  return header;
}

/** The IPv6 packet in fragments of at most 1500 bytes, the first of which alone has a hop-by-hop header. */
export function fragmentsWithHeaders(packet: Uint8Array, hopByHop: Uint8Array): Uint8Array[] {
  const header = packet.subarray(0, 40);
  const first = fragmentOfIpv6(header, packet.subarray(40, 88), 7, 0, true);
  const whole = new Uint8Array(first.length + 1 + hopByHop.length);
  whole.set(first.subarray(0, 40));
  put16(whole, 4, whole.length - 40);
  whole[6] = 0;
  whole[40] = FRAGMENT;
  whole.set(hopByHop, 41);
  whole.set(first.subarray(40), 41 + hopByHop.length);
  const made: Uint8Array[] = [whole];
  for (let at = 88; at < packet.length; at += 1448)
    made.push(fragmentOfIpv6(header, packet.subarray(at, at + 1448), 7, at - 40, at + 1448 < packet.length));
  return made;
}
