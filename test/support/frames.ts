/** Small IPv4 frames for generators: written once in full, then changed in place. */
import { completeChecksum } from '../../src/wire/checksum.ts';
import { IpPacket, Malformed } from '../../src/wire/ip-packet.ts';
import { Protocol } from '../../src/wire/protocols.ts';

export const SYN = 0x02;
export const ACK = 0x10;

/** Of a frame: Ethernet, IPv4 and TCP header. */
export const tcpFrameBytes = 14 + 20 + 20;

export interface Endpoint {
  /** 32 bits. */
  readonly address: number;
  readonly port: number;
}

const view = new IpPacket();

/** Ethernet header. @param to, from - like `02:00:00:00:00:01` */
export function writeEthernet(frame: Uint8Array, to: string, from: string): void {
  frame.set(macBytes(to), 0);
  frame.set(macBytes(from), 6);
  frame.set([0x08, 0x00], 12);
}

/** The rest of `frame` becomes an IPv4 packet; a UDP packet's data is as long as there is room. */
export function writePacket(
  frame: Uint8Array,
  protocol: 'tcp' | 'udp',
  from: Endpoint,
  to: Endpoint,
  flags = 0,
): void {
  const bytes = new DataView(frame.buffer, frame.byteOffset + 14, frame.length - 14);
  bytes.setUint16(0, 0x4500);
  bytes.setUint16(2, bytes.byteLength);
  bytes.setUint32(4, 0x0000_4000); // identification 0, do not fragment
  bytes.setUint16(8, (64 << 8) | Protocol[protocol]);
  bytes.setUint16(10, 0);
  bytes.setUint32(12, from.address);
  bytes.setUint32(16, to.address);
  bytes.setUint16(10, headerChecksum(bytes));
  bytes.setUint16(20, from.port);
  bytes.setUint16(22, to.port);
  if (protocol === 'udp') bytes.setUint16(24, bytes.byteLength - 20);
  else {
    bytes.setUint32(24, 1000);
    bytes.setUint32(28, (flags & ACK) === 0 ? 0 : 1001);
    bytes.setUint32(32, (0x5000_0000 | (flags << 16) | 0xffff) >>> 0);
  }
  if (view.read(frame, 14, bytes.byteLength) !== Malformed.none) throw new Error('a frame that is no packet');
  completeChecksum(view);
}

/** 32 bits of a dotted quad. */
export function ipv4(text: string): number {
  return text.split('.').reduce((value, part) => value * 256 + Number(part), 0);
}

function macBytes(text: string): readonly number[] {
  return text.split(':').map((part) => Number.parseInt(part, 16));
}

function headerChecksum(header: DataView): number {
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += header.getUint16(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
