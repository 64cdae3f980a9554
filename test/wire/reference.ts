/**
 * Packets for the tests of src/wire, made and judged the slow and obvious way: nothing here comes from the code under test.
 */
import fc from 'fast-check';

export interface Packet {
  readonly family: 4 | 6;
  readonly source: readonly number[];
  readonly destination: readonly number[];
  readonly protocol: number;
  /** Transport header and data; its checksum is filled in. */
  readonly segment: readonly number[];
  readonly ttl?: number;
  readonly trafficClass?: number;
  readonly identification?: number;
  /** IPv4: 16 bits of flags and offset. */
  readonly fragment?: number;
  /** IPv4 options, a multiple of 4 bytes. */
  readonly options?: readonly number[];
  /** IPv6 extension headers, each without its next-header byte. */
  readonly extensions?: readonly (readonly [type: number, rest: readonly number[]])[];
}

export const TCP = 6;
export const UDP = 17;
export const SCTP = 132;

const checksumAt: Readonly<Record<string, number>> = {
  '4/6': 16,
  '6/6': 16,
  '4/17': 6,
  '6/17': 6,
  '4/1': 2,
  '6/58': 2,
};

export function word(value: number): readonly [number, number] {
  return [(value >> 8) & 0xff, value & 0xff];
}

/** The checksum of RFC 1071, on a number that never needs carries: everything is modulo 65535. */
export function internetChecksum(bytes: readonly number[]): number {
  let total = 0;
  bytes.forEach((byte, i) => (total += i % 2 === 0 ? byte * 256 : byte));
  // sums are never 0 but of all zeros, so 0 modulo 65535 is written as 0xffff before it is inverted
  const folded = total === 0 ? 0 : total % 65535 === 0 ? 65535 : total % 65535;
  return 65535 - folded;
}

export function pseudoHeader(packet: Packet, length: number): readonly number[] {
  return [...packet.source, ...packet.destination, 0, packet.protocol, ...word(length)];
}

/** The segment with the checksum that it should have; UDP's 0 is written as 0xffff. */
export function sealed(packet: Packet): readonly number[] {
  const offset = checksumAt[`${packet.family}/${packet.protocol}`];
  const segment = [...packet.segment];
  if (packet.protocol === SCTP) return sealedSctp(segment);
  if (offset === undefined) return segment;
  segment.splice(offset, 2, 0, 0);
  const pseudo = packet.protocol === 1 ? [] : pseudoHeader(packet, segment.length);
  const checksum = internetChecksum([...pseudo, ...segment]);
  segment.splice(offset, 2, ...word(checksum === 0 && packet.protocol === UDP ? 0xffff : checksum));
  return segment;
}

/** Bit by bit; least significant byte first. */
function sealedSctp(segment: number[]): readonly number[] {
  segment.splice(8, 4, 0, 0, 0, 0);
  let crc = 0xffffffff;
  for (const byte of segment) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  crc = ~crc;
  segment.splice(8, 4, crc & 0xff, (crc >>> 8) & 0xff, (crc >>> 16) & 0xff, crc >>> 24);
  return segment;
}

/** The bytes of a packet. @param segment as it is to appear; otherwise with the right checksum */
export function bytesOf(packet: Packet, segment: readonly number[] = sealed(packet)): Uint8Array {
  const { family, source, destination, ttl = 64, trafficClass = 0 } = packet;
  if (family === 4) {
    const options = packet.options ?? [];
    const length = 20 + options.length + segment.length;
    const header = [0x40 | (5 + options.length / 4), trafficClass, ...word(length)]
      .concat(word(packet.identification ?? 0), word(packet.fragment ?? 0), [ttl, packet.protocol, 0, 0])
      .concat(source, destination, options);
    header.splice(10, 2, ...word(internetChecksum(header)));
    return Uint8Array.from([...header, ...segment]);
  }
  const extensions = packet.extensions ?? [];
  const types = [...extensions.map(([type]) => type), packet.protocol];
  const chain = extensions.flatMap(([, rest], i) => [types[i + 1] ?? 0, ...rest]);
  const payload = [...chain, ...segment];
  const first = [0x60 | (trafficClass >> 4), (trafficClass & 0xf) << 4, 0, 0, ...word(payload.length)];
  return Uint8Array.from([...first, types[0] ?? 0, ttl, ...source, ...destination, ...payload]);
}

export function tcpSegment(
  source: number,
  destination: number,
  data: readonly number[] = [],
  flags = 0x10,
): number[] {
  const numbers = [0, 0, 0, 1, 0, 0, 0, 2];
  return [...word(source), ...word(destination), ...numbers, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0, ...data];
}

export function udpSegment(source: number, destination: number, data: readonly number[] = []): number[] {
  return [...word(source), ...word(destination), ...word(8 + data.length), 0, 0, ...data];
}

export function words(address: readonly number[]): Int32Array {
  const view = new DataView(Uint8Array.from([...address, ...Array<number>(12).fill(0)]).buffer);
  return Int32Array.from([0, 1, 2, 3], (i) => view.getInt32(4 * i));
}

export const v4 = { client: [10, 1, 2, 3], vip: [192, 0, 2, 80], server: [10, 9, 255, 1] };
export const v6 = {
  client: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  vip: [0x20, 1, 0xd, 0xb8, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80],
  server: [0xfd, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0x99],
};

/** Bytes at some place in a larger buffer full of something else. */
export function embedded(packet: Uint8Array, at: number): Uint8Array {
  const buffer = new Uint8Array(at + packet.length + 16).fill(0xa5);
  buffer.set(packet, at);
  return buffer;
}

const byte = fc.nat(255);
/** Words of 0 and of ones are where checksums have their corners. */
const cornerBytes = (length: number) =>
  fc
    .array(fc.oneof(fc.constant([0, 0]), fc.constant([255, 255]), fc.tuple(byte, byte)), {
      minLength: length / 2,
      maxLength: length / 2,
    })
    .map((pairs) => pairs.flat());
export const address = (family: 4 | 6) => cornerBytes(family === 4 ? 4 : 16);
const port = fc.oneof(fc.constantFrom(0, 0xffff), fc.nat(0xffff));
const data = (most: number) => fc.array(byte, { maxLength: most });

const hopByHop = fc.constant<readonly [number, readonly number[]]>([0, [0, 1, 4, 0, 0, 0, 0]]);
const destinationOptions = fc.constant<readonly [number, readonly number[]]>([
  60,
  [1, 1, 12, ...Array<number>(12).fill(0)],
]);
const routing = fc.constant<readonly [number, readonly number[]]>([43, [0, 3, 0, 0, 0, 0, 0]]);

/** Valid packets of every kind that the director forwards. */
export const anyPacket = (most = 64): fc.Arbitrary<Packet> =>
  fc
    .constantFrom<4 | 6>(4, 6)
    .chain((family) =>
      fc.record({
        family: fc.constant(family),
        source: address(family),
        destination: address(family),
        ttl: fc.integer({ min: 2, max: 255 }),
        trafficClass: byte,
        identification: fc.nat(0xffff),
        fragment: fc.constantFrom(0, 0x4000),
        options:
          family === 4
            ? fc.constantFrom<number[]>([], [1, 1, 1, 0], [0x94, 4, 0, 0, 7, 3, 4, 0])
            : fc.constant([]),
        extensions:
          family === 6
            ? fc
                .tuple(fc.option(hopByHop), fc.option(routing), fc.option(destinationOptions))
                .map((headers) => headers.filter((header) => header !== null))
            : fc.constant([]),
        transport: fc.oneof(
          fc
            .tuple(port, port, data(most))
            .map(([a, b, bytes]) => ({ protocol: TCP, segment: tcpSegment(a, b, bytes) })),
          fc
            .tuple(port, port, data(most))
            .map(([a, b, bytes]) => ({ protocol: UDP, segment: udpSegment(a, b, bytes) })),
          fc.tuple(port, port, data(most)).map(([a, b, bytes]) => ({
            protocol: SCTP,
            segment: [...word(a), ...word(b), 1, 2, 3, 4, 0, 0, 0, 0, ...bytes],
          })),
          data(most).map((bytes) => ({
            protocol: family === 4 ? 1 : 58,
            segment: [family === 4 ? 8 : 128, 0, 0, 0, 0, 1, 0, 2, ...bytes],
          })),
          data(most).map((segment) => ({ protocol: 50, segment })),
        ),
      }),
    )
    .map(({ transport, ...rest }) => ({ ...rest, ...transport }));
