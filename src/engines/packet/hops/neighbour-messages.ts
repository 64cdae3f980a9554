/**
 * The questions that we ask for a neighbour's MAC address (ARP requests and neighbour solicitations, whole frames), and
 * what a captured answer, question or announcement of others claims.
 */
import type { Address } from '../../../util/ip.ts';
import { familyOf } from '../../../util/ip.ts';
import { ARP_LENGTH, ArpOperation, ArpPacket, writeArp } from '../../../wire/arp.ts';
import { ETHERNET_HEADER, EthernetFrame, Ethertype, writeEthernet } from '../../../wire/ethernet.ts';
import { IpPacket, Malformed } from '../../../wire/ip-packet.ts';
import {
  multicastMac,
  NEIGHBOUR_MESSAGE_LENGTH,
  NeighbourMessage,
  solicitedNode,
  writeSolicitation,
} from '../../../wire/neighbour-discovery.ts';
import { addressWords, wordsAddress } from '../../address-words.ts';

/** Somebody says that an address is at a MAC address. */
export interface Claim {
  readonly address: Address;
  readonly mac: Uint8Array;
  /** Said to all without being asked: the address has moved here. */
  readonly gratuitous: boolean;
  /** May replace what is known. */
  readonly override: boolean;
  /** An answer to us: it hears us, and we hear it. */
  readonly solicited: boolean;
}

export const BROADCAST_MAC = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
const unknownMac = new Uint8Array(6);

const ethernet = new EthernetFrame();
const arp = new ArpPacket();
const ip = new IpPacket();
const discovery = new NeighbourMessage();

/**
 * @param mac of our interface
 * @param source our address, which asks
 * @param to the MAC address to ask; undefined: all
 * @returns a frame
 */
export function solicitation(
  mac: Uint8Array,
  source: Address,
  target: Address,
  to: Uint8Array | undefined,
): Buffer {
  const from = addressWords(source).words;
  const asked = addressWords(target).words;
  return familyOf(target) === 'inet'
    ? arpRequest(mac, from, asked, to ?? BROADCAST_MAC)
    : neighbourSolicitation(mac, from, asked, to);
}

function arpRequest(mac: Uint8Array, source: Int32Array, target: Int32Array, to: Uint8Array): Buffer {
  const frame = Buffer.alloc(ETHERNET_HEADER + ARP_LENGTH);
  writeEthernet(frame, 0, to, mac, Ethertype.arp);
  const { request } = ArpOperation;
  writeArp(frame, ETHERNET_HEADER, request, mac, source[0] ?? 0, unknownMac, target[0] ?? 0);
  return frame;
}

function neighbourSolicitation(
  mac: Uint8Array,
  source: Int32Array,
  target: Int32Array,
  to: Uint8Array | undefined,
): Buffer {
  const frame = Buffer.alloc(ETHERNET_HEADER + NEIGHBOUR_MESSAGE_LENGTH);
  const group = new Int32Array(4);
  const groupMac = new Uint8Array(6);
  solicitedNode(target, group);
  multicastMac(group, groupMac, 0);
  writeEthernet(frame, 0, to ?? groupMac, mac, Ethertype.ipv6);
  writeSolicitation(frame, ETHERNET_HEADER, source, mac, to === undefined ? group : target, target);
  return frame;
}

/** @returns undefined when the frame is no ARP over Ethernet and IPv4, or claims nothing */
export function readArp(frame: Uint8Array, length: number): Claim | undefined {
  if (!ethernet.read(frame, 0, length) || ethernet.ethertype !== Ethertype.arp) return undefined;
  if (!arp.read(frame, ethernet.payload, length - ethernet.payload)) return undefined;
  const mac = new Uint8Array(6);
  arp.copySenderMac(mac, 0);
  // a sender without an address looks whether somebody has it (RFC 5227)
  if (arp.sender === 0 || !isUnicast(mac)) return undefined;
  const gratuitous = arp.sender === arp.target;
  return {
    address: wordsAddress(Int32Array.of(arp.sender, 0, 0, 0), 4),
    mac,
    gratuitous,
    override: true,
    solicited: arp.operation === ArpOperation.reply && !gratuitous && !isGroup(frame[0]),
  };
}

/** @returns undefined when the frame is no valid neighbour solicitation or advertisement, or claims nothing */
export function readNeighbourDiscovery(frame: Uint8Array, length: number): Claim | undefined {
  if (!ethernet.read(frame, 0, length) || ethernet.ethertype !== Ethertype.ipv6) return undefined;
  if (ip.read(frame, ethernet.payload, length - ethernet.payload) !== Malformed.none) return undefined;
  if (!discovery.read(ip)) return undefined;
  const { kind, source, target, solicited, linkAddress } = discovery;
  const mac = new Uint8Array(6);
  if (linkAddress >= 0) discovery.copyLinkAddress(mac, 0);
  // an advertisement to who asked it directly may leave its MAC address out
  else if (kind === 'advertisement') ethernet.copySource(mac, 0);
  if (!isUnicast(mac)) return undefined;
  // while it looks whether its address is taken, a sender claims nothing; nor can it answer a group (RFC 4861, 7.1.2)
  if (kind === 'solicitation' && source.every((word) => word === 0)) return undefined;
  if (solicited && ip.destinationWord(0) >>> 24 === 0xff) return undefined;
  const override = kind === 'solicitation' || discovery.override;
  return {
    address: wordsAddress(kind === 'solicitation' ? source : target, 6),
    mac,
    gratuitous: kind === 'advertisement' && !solicited && override,
    override,
    solicited,
  };
}

function isGroup(first: number | undefined): boolean {
  return ((first ?? 0) & 1) === 1;
}

function isUnicast(mac: Uint8Array): boolean {
  return !isGroup(mac[0]) && mac.some((byte) => byte !== 0);
}
