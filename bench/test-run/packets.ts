/** The packets of the bench: 60 bytes of Ethernet, IPv4, and TCP without data or UDP with 18 bytes of it, checksums right. */
import { internetChecksum, pseudoHeader } from '../../test/support/internet-checksum.ts';
import { addressBytes } from '../../src/util/ip.ts';

export const frameBytes = 60;

export const tcpFlags = { syn: 0x02, ack: 0x10, synAck: 0x12 } as const;

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface Packet {
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** Undefined: UDP. */
  readonly flags?: number;
}

/** @param to link address of the receiver */
export function frame(to: Uint8Array, packet: Packet): Buffer {
  const { from, to: target, flags } = packet;
  const protocol = flags === undefined ? 17 : 6;
  const bytes = Buffer.alloc(frameBytes);
  bytes.set(to, 0);
  bytes.set([2, 0, 0, 0, 1, 0xfa], 6);
  bytes.writeUInt16BE(0x0800, 12);
  const transport = bytes.subarray(34, flags === undefined ? frameBytes : 54);
  transport.writeUInt16BE(from.port, 0);
  transport.writeUInt16BE(target.port, 2);
  if (flags === undefined) transport.writeUInt16BE(transport.length, 4);
  else transport.set([0x50, flags, 0xfa, 0], 12);
  // the word that goes down where addresses and ports go up (harness.bpf.c), never below 0
  transport.writeUInt16BE(0xc000, 18);
  bytes.set([0x45, 0, 0, 20 + transport.length, 0x80, 0, 0x40, 0, 64, protocol], 14);
  bytes.set(addressBytes(from.address), 26);
  bytes.set(addressBytes(target.address), 30);
  const pseudo = pseudoHeader(bytes.subarray(26, 30), bytes.subarray(30, 34), protocol, transport.length);
  transport.writeUInt16BE(internetChecksum(pseudo, transport), flags === undefined ? 6 : 16);
  bytes.writeUInt16BE(internetChecksum(bytes.subarray(14, 34)), 24);
  return bytes;
}
