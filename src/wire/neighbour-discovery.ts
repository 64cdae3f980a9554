/** IPv6 neighbour discovery (RFC 4861): solicitations and advertisements of neighbours, with Ethernet addresses. */
import { copyBytes, read32, write16, write32, writeAddress } from './bytes.ts';
import { transportIsValid } from './checksum.ts';
import { Icmpv6Type } from './icmpv6.ts';
import { pseudoHeaderChecksum, writeIpHeader } from './ip-header.ts';
import type { IpPacket } from './ip-packet.ts';
import { Protocol } from './protocols.ts';

const Option = { sourceLinkAddress: 1, targetLinkAddress: 2 } as const;

/** Only a neighbour can have sent a packet that arrives with it. */
const HOP_LIMIT = 255;
const IP_HEADER = 40;
const MESSAGE = 24;
const LINK_ADDRESS_OPTION = 8;

/** Bytes of the IPv6 packet with either message as this host sends it. */
export const NEIGHBOUR_MESSAGE_LENGTH = IP_HEADER + MESSAGE + LINK_ADDRESS_OPTION;

const ROUTER = 0x80;
const SOLICITED = 0x40;
const OVERRIDE = 0x20;

/** A view of one message, made once and reused. */
export class NeighbourMessage {
  bytes: Uint8Array = new Uint8Array(0);
  kind: 'solicitation' | 'advertisement' = 'solicitation';
  /** Address that it is about, as words. */
  readonly target = new Int32Array(4);
  /** The sender's address; of a solicitation 0 while the sender looks whether its own address is taken. */
  readonly source = new Int32Array(4);
  /** Offset in bytes of the sender's six bytes of Ethernet address, or -1. */
  linkAddress = -1;
  /** Of an advertisement. */
  router = false;
  solicited = false;
  override = false;

  /** @returns false when it is no such message, or one that RFC 4861 (section 7.1) has us discard */
  read(packet: IpPacket): boolean {
    const { bytes, transport } = packet;
    if (packet.protocol !== Protocol.icmpv6 || packet.family !== 6 || packet.isFragment) return false;
    const end = packet.at + packet.length;
    const type = bytes[transport];
    const solicitation = type === Icmpv6Type.neighbourSolicitation;
    if (!solicitation && type !== Icmpv6Type.neighbourAdvertisement) return false;
    if (packet.quoted || packet.ttl !== HOP_LIMIT || bytes[transport + 1] !== 0) return false;
    if (transport + MESSAGE > end || bytes[transport + 8] === 0xff || !transportIsValid(packet)) return false;
    const wanted = solicitation ? Option.sourceLinkAddress : Option.targetLinkAddress;
    if (!this.#readOptions(bytes, transport + MESSAGE, end, wanted)) return false;
    this.bytes = bytes;
    this.kind = solicitation ? 'solicitation' : 'advertisement';
    packet.copySource(this.source);
    for (let i = 0; i < 4; i++) this.target[i] = read32(bytes, transport + 8 + 4 * i);
    const flags = solicitation ? 0 : (bytes[transport + 4] as number);
    this.router = (flags & ROUTER) !== 0;
    this.solicited = (flags & SOLICITED) !== 0;
    this.override = (flags & OVERRIDE) !== 0;
    return true;
  }

  /** Six bytes, into `into` from `to` on; there must be a link address. */
  copyLinkAddress(into: Uint8Array, to: number): void {
    copyBytes(this.bytes, this.linkAddress, 6, into, to);
  }

  #readOptions(bytes: Uint8Array, at: number, end: number, wanted: number): boolean {
    this.linkAddress = -1;
    let option = at;
    while (option < end) {
      if (option + 2 > end) return false;
      const length = (bytes[option + 1] as number) << 3;
      if (length === 0 || option + length > end) return false;
      if (bytes[option] === wanted && length === LINK_ADDRESS_OPTION) this.linkAddress = option + 2;
      option += length;
    }
    return true;
  }
}

/**
 * Asks for the Ethernet address of `target`: an IPv6 packet.
 * @param destination `target` itself, or {@link solicitedNode} of it
 * @param mac six bytes, of this host
 * @returns its length
 */
export function writeSolicitation(
  into: Uint8Array,
  at: number,
  source: Int32Array,
  mac: Uint8Array,
  destination: Int32Array,
  target: Int32Array,
): number {
  const type = Icmpv6Type.neighbourSolicitation;
  return writeMessage(into, at, { source, destination, target, mac, type, flags: 0 });
}

/** Says that `target` is this host's, and has this Ethernet address: an IPv6 packet. @returns its length */
export function writeAdvertisement(
  into: Uint8Array,
  at: number,
  source: Int32Array,
  mac: Uint8Array,
  destination: Int32Array,
  target: Int32Array,
  solicited: boolean,
): number {
  const type = Icmpv6Type.neighbourAdvertisement;
  const flags = (solicited ? SOLICITED : 0) | OVERRIDE;
  return writeMessage(into, at, { source, destination, target, mac, type, flags });
}

interface Message {
  readonly source: Int32Array;
  readonly destination: Int32Array;
  readonly target: Int32Array;
  readonly mac: Uint8Array;
  readonly type: number;
  readonly flags: number;
}

function writeMessage(into: Uint8Array, at: number, message: Message): number {
  const { source, destination, target, mac, type, flags } = message;
  const icmp = at + IP_HEADER;
  const length = MESSAGE + LINK_ADDRESS_OPTION;
  const option = icmp + MESSAGE;
  writeIpHeader(into, at, { family: 6, source, destination }, Protocol.icmpv6, length, HOP_LIMIT, 0);
  write32(into, icmp, type << 24);
  write32(into, icmp + 4, flags << 24);
  writeAddress(into, icmp + 8, target, 6);
  const solicitation = type === Icmpv6Type.neighbourSolicitation;
  into[option] = solicitation ? Option.sourceLinkAddress : Option.targetLinkAddress;
  into[option + 1] = 1;
  copyBytes(mac, 0, 6, into, option + 2);
  write16(into, icmp + 2, pseudoHeaderChecksum(into, at, 6, Protocol.icmpv6, icmp, length));
  return NEIGHBOUR_MESSAGE_LENGTH;
}

/** The multicast address ff02::1:ffXX:XXXX that the owner of `target` listens to. */
export function solicitedNode(target: Int32Array, into: Int32Array): void {
  into[0] = 0xff020000 | 0;
  into[1] = 0;
  into[2] = 1;
  into[3] = 0xff000000 | ((target[3] as number) & 0xffffff);
}

/** Ethernet address 33:33:... of an IPv6 multicast address: six bytes. */
export function multicastMac(address: Int32Array, into: Uint8Array, at: number): void {
  write16(into, at, 0x3333);
  write32(into, at + 2, address[3] as number);
}
