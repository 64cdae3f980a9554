/**
 * Files of captured frames as tcpdump and Wireshark read them: pcap with nanoseconds, and pcapng (draft-ietf-opsawg-pcapng), which can say
 * by which interface a frame came and what became of it.
 */

/** A frame, or as much of it as was kept. */
export interface CapturedFrame {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  /** Bytes of the whole frame. */
  readonly length: number;
  readonly bytes: Uint8Array;
}

/** A frame of which more is known. */
export interface JudgedFrame extends CapturedFrame {
  /** Index, as in the call of {@link pcapngHeader}. */
  readonly interface: number;
  /** As pcapng numbers those who judge: 1 tc, 2 XDP. */
  readonly judge: 1 | 2;
  /** TC_ACT_* or XDP_*. */
  readonly verdict: number;
}

const nanosecondMagic = 0xa1b2_3c4d;
const ethernet = 1;
const nanosecond = 1_000_000_000n;

/** What a file begins with. @param snap bytes that are kept of a frame at most */
export function pcapHeader(snap: number): Uint8Array {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(nanosecondMagic, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(snap, 16);
  header.writeUInt32LE(ethernet, 20);
  return header;
}

export function pcapRecord({ time, length, bytes }: CapturedFrame): Uint8Array {
  const record = Buffer.alloc(16 + bytes.length);
  record.writeUInt32LE(Number(time / nanosecond), 0);
  record.writeUInt32LE(Number(time % nanosecond), 4);
  record.writeUInt32LE(bytes.length, 8);
  record.writeUInt32LE(length, 12);
  record.set(bytes, 16);
  return record;
}

const Block = { section: 0x0a0d_0d0a, interface: 1, packet: 6 } as const;
const Option = { end: 0, interfaceName: 2, resolution: 9, verdict: 7 } as const;

/** @param interfaces their names */
export function pcapngHeader(snap: number, interfaces: readonly string[]): Uint8Array {
  const section = Buffer.alloc(16);
  section.writeUInt32LE(0x1a2b_3c4d, 0);
  section.writeUInt16LE(1, 4);
  section.writeBigInt64LE(-1n, 8);
  return Buffer.concat([
    block(Block.section, section),
    ...interfaces.map((name) => block(Block.interface, interfaceBody(snap, name))),
  ]);
}

export function pcapngRecord({ time, length, bytes, ...known }: JudgedFrame): Uint8Array {
  const head = Buffer.alloc(20);
  head.writeUInt32LE(known.interface, 0);
  head.writeUInt32LE(Number(time >> 32n), 4);
  head.writeUInt32LE(Number(time & 0xffff_ffffn), 8);
  head.writeUInt32LE(bytes.length, 12);
  head.writeUInt32LE(length, 16);
  const verdict = Buffer.alloc(9);
  verdict.writeUInt8(known.judge, 0);
  verdict.writeBigInt64LE(BigInt(known.verdict), 1);
  return block(
    Block.packet,
    Buffer.concat([head, padded(bytes), option(Option.verdict, verdict), option(Option.end)]),
  );
}

function interfaceBody(snap: number, name: string): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16LE(ethernet, 0);
  head.writeUInt32LE(snap, 4);
  // times are in units of 10^-9 s
  const options = [option(Option.interfaceName, Buffer.from(name)), option(Option.resolution, Buffer.of(9))];
  return Buffer.concat([head, ...options, option(Option.end)]);
}

function option(code: number, value: Uint8Array = new Uint8Array(0)): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(code, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, padded(value)]);
}

function block(type: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(body.length + 12, 4);
  return Buffer.concat([head, body, head.subarray(4)]);
}

/** To four bytes. */
function padded(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
