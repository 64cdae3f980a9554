/** The packets of the bench: 60 bytes of Ethernet, IPv4, and TCP without data or UDP with 18 bytes of it, checksums right. */
import { internetChecksum, pseudoHeader } from '../../test/support/internet-checksum.ts';
import { addressBytes } from '../../src/util/ip.ts';

export const frameBytes = 60;
export const ethernetBytes = 14;

export const tcpFlags = { syn: 0x02, ack: 0x10, synAck: 0x12 } as const;

/** Bits of a client's number that are in its port, the others in its address: as in harness.bpf.c. */
const portBits = 15;

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface Packet {
  /** Its endpoint is that of the first client. */
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly isReply: boolean;
  /** Undefined: UDP. */
  readonly flags: number | undefined;
}

/** @param client the number of one @param ttl that is left */
export function frame(link: Uint8Array, packet: Packet, client = 0, ttl = 64): Buffer {
  const { from, to, isReply, flags } = packet;
  const bytes = Buffer.alloc(frameBytes);
  bytes.set(link, 0);
  bytes.set([2, 0, 0, 0, 1, 0xfa], 6);
  bytes.writeUInt16BE(0x0800, 12);
  const protocol = flags === undefined ? 17 : 6;
  const transport = bytes.subarray(34, flags === undefined ? frameBytes : 54);
  const [address, port] = [client >>> portBits, client & ((1 << portBits) - 1)];
  transport.writeUInt16BE(from.port + (isReply ? 0 : port), 0);
  transport.writeUInt16BE(to.port + (isReply ? port : 0), 2);
  if (flags === undefined) transport.writeUInt16BE(transport.length, 4);
  else transport.set([0x50, flags, 0xfa, 0], 12);
  // these two words go down where addresses and ports go up (harness.bpf.c)
  transport.writeUInt16BE(0xc000 - address - port, 18);
  const id = 0x8000 - address;
  const ip = bytes.subarray(ethernetBytes, 34);
  ip.set([0x45, 0, 0, 20 + transport.length, id >> 8, id & 255, 0x40, 0, ttl, protocol]);
  ip.set(addressBytes(from.address), 12);
  ip.set(addressBytes(to.address), 16);
  const varied = isReply ? 18 : 14;
  ip.writeUInt16BE(ip.readUInt16BE(varied) + address, varied);
  const pseudo = pseudoHeader(ip.subarray(12, 16), ip.subarray(16), protocol, transport.length);
  transport.writeUInt16BE(internetChecksum(pseudo, transport), flags === undefined ? 6 : 16);
  ip.writeUInt16BE(internetChecksum(ip), 10);
  return bytes;
}
