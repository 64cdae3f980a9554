/**
 * Cutting a packet that is too long for a link into fragments (RFC 791, section 3.2; RFC 8200, section 4.5). A fragment
 * of IPv4 can be cut again; the fragments of a packet with DF have DF too, for the packet may be one that the director
 * has put together from such fragments.
 */
import { copyBytes, write16, write32 } from './bytes.ts';
import { sealIpv4 } from './ip-header.ts';
import type { IpPacket } from './ip-packet.ts';
import { Protocol } from './protocols.ts';

/** Bytes free before each fragment in the scratch buffer, for link headers. */
export const FRAGMENT_HEADROOM = 64;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_HEADER = 8;
const IPV6_HEADER = 40;

/** Valid until it returns. */
type Emit = (bytes: Uint8Array, at: number, length: number) => void;

/**
 * Calls `emit` for each fragment in order; for the packet itself, where it is short enough.
 * @param mtu of the link: the longest IP packet
 * @param scratch at least FRAGMENT_HEADROOM + mtu bytes; holds one fragment after the other
 * @param identification 32 bits, for IPv6; fragments of IPv4 have that of the packet
 * @returns false, and calls nobody, when an IPv6 packet has such headers that each fragment would mostly consist of them: only somebody
 *   who wants one packet to become many makes those
 */
export function fragment(
  packet: IpPacket,
  mtu: number,
  scratch: Uint8Array,
  identification: number,
  emit: Emit,
): boolean {
  if (packet.length <= mtu) emit(packet.bytes, packet.at, packet.length);
  else if (packet.family === 4) fragmentIpv4(packet, mtu, scratch, emit);
  else return fragmentIpv6(packet, mtu, scratch, identification, emit);
  return true;
}

function fragmentIpv4(packet: IpPacket, mtu: number, scratch: Uint8Array, emit: Emit): void {
  const { bytes, at, headerLength } = packet;
  const payload = packet.length - headerLength;
  const most = pieceLength(mtu - headerLength);
  const flags = packet.dontFragment ? DONT_FRAGMENT : 0;
  const to = FRAGMENT_HEADROOM;
  copyBytes(bytes, at, headerLength, scratch, to);
  for (let done = 0; done < payload; done += most) {
    const length = Math.min(most, payload - done);
    const more = packet.moreFragments || done + length < payload ? MORE_FRAGMENTS : 0;
    if (done === most) dropUncopiedOptions(scratch, to, headerLength);
    copyBytes(bytes, at + headerLength + done, length, scratch, to + headerLength);
    write16(scratch, to + 2, headerLength + length);
    const offset = (packet.fragmentOffset + done) >> 3;
    sealIpv4(scratch, to, headerLength, packet.identification, flags | more | offset);
    emit(scratch, to, headerLength + length);
  }
}

const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
const COPIED = 0x80;

/** Options that only the first fragment has become no-operations in the others. */
function dropUncopiedOptions(header: Uint8Array, at: number, headerLength: number): void {
  const end = at + headerLength;
  let option = at + 20;
  while (option < end && header[option] !== END_OF_OPTIONS) {
    const type = header[option] as number;
    const length = type === NO_OPERATION ? 1 : (header[option + 1] as number);
    // nonsense from here on: let whoever reads it judge
    if (length === 0 || option + length > end || (type !== NO_OPERATION && length < 2)) return;
    if ((type & COPIED) === 0) header.fill(NO_OPERATION, option, option + length);
    option += length;
  }
}

/** A packet with a fragment header keeps it, and its identification. */
function fragmentIpv6(
  packet: IpPacket,
  mtu: number,
  scratch: Uint8Array,
  identification: number,
  emit: Emit,
): boolean {
  const { bytes, at } = packet;
  const again = packet.fragmentHeader !== -1;
  const pointer = nextHeaderPointer(packet);
  const perFragment = perFragmentLength(packet, pointer);
  if (2 * (perFragment - IPV6_HEADER) > mtu) return false;
  const from = at + perFragment + (again ? FRAGMENT_HEADER : 0);
  const payload = at + packet.length - from;
  const most = pieceLength(mtu - perFragment - FRAGMENT_HEADER);
  const to = FRAGMENT_HEADROOM;
  const header = to + perFragment;
  copyBytes(bytes, at, perFragment, scratch, to);
  scratch[header] = bytes[again ? packet.fragmentHeader : at + pointer] as number;
  scratch[header + 1] = 0;
  write32(scratch, header + 4, again ? packet.identification : identification);
  scratch[to + pointer] = Protocol.fragment;
  for (let done = 0; done < payload; done += most) {
    const length = Math.min(most, payload - done);
    const more = packet.moreFragments || done + length < payload ? 1 : 0;
    copyBytes(bytes, from + done, length, scratch, header + FRAGMENT_HEADER);
    write16(scratch, to + 4, perFragment - 40 + FRAGMENT_HEADER + length);
    write16(scratch, header + 2, (packet.fragmentOffset + done) | more);
    emit(scratch, to, perFragment + FRAGMENT_HEADER + length);
  }
  return true;
}

/**
 * Offset from the IPv6 header of the byte that names what follows the headers that every fragment repeats: those up to
 * the routing header, or else the hop-by-hop options, or else the IPv6 header alone.
 */
export function nextHeaderPointer({ bytes, at, headerLength }: IpPacket): number {
  let pointer = 6;
  let next = bytes[at + 6] as number;
  for (let offset = 40; offset < headerLength && next !== Protocol.fragment;) {
    if (next === Protocol.hopByHop || next === Protocol.routing) pointer = offset;
    next = bytes[at + offset] as number;
    offset += extensionLength(bytes, at + offset);
  }
  return pointer;
}

/** Bytes of the headers that every fragment repeats. */
function perFragmentLength({ bytes, at, fragmentHeader }: IpPacket, pointer: number): number {
  if (fragmentHeader !== -1) return fragmentHeader - at;
  return pointer === 6 ? 40 : pointer + extensionLength(bytes, at + pointer);
}

function extensionLength(bytes: Uint8Array, at: number): number {
  return ((bytes[at + 1] as number) + 1) << 3;
}

/** Fragments but the last are multiples of 8 bytes; at least 8, whatever the MTU, so that there is an end. */
function pieceLength(room: number): number {
  return Math.max(8, room & ~7);
}
