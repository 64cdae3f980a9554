/** ARP for IPv4 over Ethernet (RFC 826): who has an address, and who says so. */
import { copyBytes, read16, read32, write16, write32 } from './bytes.ts';
import { Ethertype } from './ethernet.ts';

export const ArpOperation = { request: 1, reply: 2 } as const;

/** Bytes of a packet. */
export const ARP_LENGTH = 28;
const ETHERNET = 1;

/** A view of one packet, made once and reused. */
export class ArpPacket {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  /** One of {@link ArpOperation}. */
  operation = 0;
  /** IPv4 addresses as words. */
  sender = 0;
  target = 0;

  /** @returns false when it is not a request or reply about IPv4 over Ethernet */
  read(bytes: Uint8Array, at: number, available: number): boolean {
    if (available < ARP_LENGTH) return false;
    if (read16(bytes, at) !== ETHERNET || read16(bytes, at + 2) !== Ethertype.ipv4) return false;
    if (bytes[at + 4] !== 6 || bytes[at + 5] !== 4) return false;
    const operation = read16(bytes, at + 6);
    if (operation !== ArpOperation.request && operation !== ArpOperation.reply) return false;
    this.bytes = bytes;
    this.at = at;
    this.operation = operation;
    this.sender = read32(bytes, at + 14);
    this.target = read32(bytes, at + 24);
    return true;
  }

  /** Six bytes, into `into` from `to` on. */
  copySenderMac(into: Uint8Array, to: number): void {
    copyBytes(this.bytes, this.at + 8, 6, into, to);
  }
}

/**
 * @param targetMac six bytes; of a request: all 0
 * @returns its length
 */
export function writeArp(
  into: Uint8Array,
  at: number,
  operation: number,
  senderMac: Uint8Array,
  sender: number,
  targetMac: Uint8Array,
  target: number,
): number {
  write16(into, at, ETHERNET);
  write16(into, at + 2, Ethertype.ipv4);
  into[at + 4] = 6;
  into[at + 5] = 4;
  write16(into, at + 6, operation);
  copyBytes(senderMac, 0, 6, into, at + 8);
  write32(into, at + 14, sender);
  copyBytes(targetMac, 0, 6, into, at + 18);
  write32(into, at + 24, target);
  return ARP_LENGTH;
}
