/** The frames of `make bench-vm` as bytes: as frame.h says. */
import { internetChecksum, pseudoHeader } from '../../test/support/internet-checksum.ts';

export type Protocol = 'udp' | 'tcp';

/** What of a connection a frame is. */
export type Part = 'opening' | 'answer' | 'data';

export interface Addressed {
  readonly sourceMac: string;
  readonly mac: string;
  readonly source: string;
  readonly address: string;
  readonly port: number;
}

export const frameBytes = 60;
/** As many clients' ports. Each frame is of the next one. */
export const flows = 256;
const firstPort = 10_240;

export const ipNumber: Readonly<Record<Protocol, number>> = { udp: 17, tcp: 6 };
const flags: Readonly<Record<Part, number>> = { opening: 0x02, answer: 0x12, data: 0x10 };

/** @returns the first client's frame, or of the server the first one to it */
export function frame(
  protocol: Protocol,
  part: Part,
  { sourceMac, mac, source, address, port }: Addressed,
): Buffer {
  const bytes = Buffer.alloc(frameBytes);
  bytes.set(macBytes(mac), 0);
  bytes.set(macBytes(sourceMac), 6);
  bytes.writeUInt16BE(0x0800, 12);
  const transport = bytes.subarray(34, protocol === 'udp' ? frameBytes : 54);
  transport.writeUInt16BE(part === 'answer' ? port : firstPort, 0);
  transport.writeUInt16BE(part === 'answer' ? firstPort : port, 2);
  // the word that goes down where the port goes up (generator.bpf.c), never below 0
  transport.writeUInt16BE(0x8000, 8);
  if (protocol === 'udp') transport.writeUInt16BE(transport.length, 4);
  else {
    transport.writeUInt8(0x50, 12);
    transport.writeUInt8(flags[part], 13);
    transport.writeUInt16BE(64_000, 14);
  }
  bytes.set([0x45, 0, 0, 20 + transport.length, 0, 0, 0x40, 0, 64, ipNumber[protocol]], 14);
  bytes.set(ipBytes(source), 26);
  bytes.set(ipBytes(address), 30);
  const pseudo = pseudoHeader(
    bytes.subarray(26, 30),
    bytes.subarray(30, 34),
    ipNumber[protocol],
    transport.length,
  );
  transport.writeUInt16BE(internetChecksum(pseudo, transport), protocol === 'udp' ? 6 : 16);
  bytes.writeUInt16BE(internetChecksum(bytes.subarray(14, 34)), 24);
  return bytes;
}

export function macBytes(mac: string): readonly number[] {
  return mac.split(':').map((byte) => parseInt(byte, 16));
}

export function ipBytes(address: string): readonly number[] {
  return address.split('.').map(Number);
}
