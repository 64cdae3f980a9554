/**
 * The fragments of one datagram so far, in order of their offsets (RFC 791, RFC 5722, RFC 8200): whether another one fits
 * to them, and the whole when all are there. Judges as Linux's defragmentation does.
 */
import { copyBytes, write16 } from '../../../wire/bytes.ts';
import { nextHeaderPointer } from '../../../wire/fragmentation.ts';
import { sealIpv4 } from '../../../wire/ip-header.ts';
import type { IpPacket } from '../../../wire/ip-packet.ts';

/** `contradiction`: it overlaps what is there, or they disagree where the datagram ends. No whole can come of it. */
export type Fit = 'new' | 'duplicate' | 'contradiction';

interface Piece {
  readonly offset: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

const DONT_FRAGMENT = 0x4000;
const LONGEST = 0xffff;

/** About what the objects take beside the bytes. */
const LIST_COST = 512;
const PIECE_COST = 256;

/** ECN field (RFC 3168): not-ECT 0, ECT 1 and 2, CE 3. A set of them is a set of bits. */
const NOT_ECT = 1 << 0;
const CE = 1 << 3;

export class FragmentList {
  /** What they have in common. */
  readonly key: string;
  /** When the first of them came. */
  readonly since: number;
  /** The datagrams that began before and after. */
  older: FragmentList | undefined;
  newer: FragmentList | undefined;
  /** Length of the largest fragment, with its headers. */
  largest = 0;
  /** Memory it takes, in bytes. */
  cost = LIST_COST;
  readonly #pieces: Piece[] = [];
  #largestWithDf = 0;
  #received = 0;
  /** The furthest end of a fragment. */
  #furthest = 0;
  #lastSeen = false;
  #ecn = 0;
  /** Headers of the first fragment, up to its payload or its fragment header. */
  #header: Uint8Array | undefined;
  #protocol = 0;
  #pointer = 0;

  constructor(key: string, since: number) {
    this.key = key;
    this.since = since;
  }

  /** All bytes are there. */
  get isWhole(): boolean {
    return this.#lastSeen && this.#received === this.#furthest;
  }

  /** @param packet a fragment that {@link fragmentIsSound} */
  add(packet: IpPacket): Fit {
    const { fragmentOffset: offset } = packet;
    const end = offset + payloadLength(packet);
    if (packet.moreFragments) {
      if (this.#lastSeen && end > this.#furthest) return 'contradiction';
    } else if (end < this.#furthest || (this.#lastSeen && end !== this.#furthest)) {
      return 'contradiction';
    }
    const index = this.#indexAfter(offset);
    const fit = this.#fit(index, offset, end);
    if (fit === 'new') this.#insert(packet, index, end);
    return fit;
  }

  /**
   * Writes the whole datagram.
   * @returns its length; 0 when it is longer than an IP packet can be, or when its fragments' ECN fields contradict each other
   */
  assemble(into: Uint8Array, at: number): number {
    const header = this.#header;
    if (header === undefined) return 0;
    const ipv6 = (header[0] as number) >> 4 === 6;
    const payload = header.length + this.#furthest - (ipv6 ? 40 : 0);
    const mark = this.#ecn & CE;
    if (payload > LONGEST || (this.#ecn & NOT_ECT && this.#ecn !== NOT_ECT)) return 0;
    copyBytes(header, 0, header.length, into, at);
    for (const { offset, end, bytes } of this.#pieces) {
      copyBytes(bytes, 0, end - offset, into, at + header.length + offset);
    }
    if (ipv6) {
      if (mark !== 0) into[at + 1] = (into[at + 1] as number) | 0x30;
      write16(into, at + 4, payload);
      into[at + this.#pointer] = this.#protocol;
    } else {
      if (mark !== 0) into[at + 1] = (into[at + 1] as number) | 0x03;
      write16(into, at + 2, payload);
      const identification = ((header[4] as number) << 8) | (header[5] as number);
      sealIpv4(into, at, header.length, identification, this.#largestHadDf ? DONT_FRAGMENT : 0);
    }
    return header.length + this.#furthest;
  }

  /** Otherwise the largest would be sent again with a DF that its sender had only on smaller ones. */
  get #largestHadDf(): boolean {
    return this.#largestWithDf === this.largest;
  }

  /** Index of the first piece that begins after `offset`; most fragments come in order. */
  #indexAfter(offset: number): number {
    let low = 0;
    let high = this.#pieces.length;
    if (high > 0 && (this.#pieces[high - 1] as Piece).offset <= offset) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#pieces[middle] as Piece).offset <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #fit(index: number, offset: number, end: number): Fit {
    let reach = this.#pieces[index - 1]?.end ?? 0;
    if (reach <= offset) {
      const next = this.#pieces[index];
      return next === undefined || next.offset >= end ? 'new' : 'contradiction';
    }
    for (let i = index; reach < end && this.#pieces[i]?.offset === reach; i++) {
      reach = (this.#pieces[i] as Piece).end;
    }
    return reach >= end ? 'duplicate' : 'contradiction';
  }

  #insert(packet: IpPacket, index: number, end: number): void {
    const { fragmentOffset: offset, length } = packet;
    const bytes = new Uint8Array(end - offset);
    copyBytes(packet.bytes, payloadAt(packet), bytes.length, bytes, 0);
    this.#pieces.splice(index, 0, { offset, end, bytes });
    this.cost += PIECE_COST + bytes.length;
    this.#received += bytes.length;
    this.#furthest = Math.max(this.#furthest, end);
    this.#lastSeen ||= !packet.moreFragments;
    this.#ecn |= 1 << (packet.trafficClass & 3);
    this.largest = Math.max(this.largest, length);
    if (packet.dontFragment) this.#largestWithDf = Math.max(this.#largestWithDf, length);
    if (offset === 0) this.#keepHeader(packet);
  }

  #keepHeader(packet: IpPacket): void {
    const { bytes, at, family, fragmentHeader } = packet;
    const length = family === 4 ? packet.headerLength : fragmentHeader - at;
    this.#header = new Uint8Array(length);
    copyBytes(bytes, at, length, this.#header, 0);
    this.cost += length;
    if (family === 4) return;
    this.#pointer = nextHeaderPointer(packet);
    this.#protocol = bytes[fragmentHeader] as number;
  }
}

/** It has bytes, all but the last have a multiple of 8 (IPv4's are cut to one), and none is beyond the longest packet. */
export function fragmentIsSound(packet: IpPacket): boolean {
  const length = payloadLength(packet);
  if (packet.family === 6 && packet.moreFragments && (length & 7) !== 0) return false;
  const header = packet.family === 4 ? packet.headerLength : 0;
  return length > 0 && header + packet.fragmentOffset + length <= LONGEST;
}

function payloadAt(packet: IpPacket): number {
  return packet.family === 4 ? packet.transport : packet.fragmentHeader + 8;
}

function payloadLength(packet: IpPacket): number {
  const length = packet.at + packet.length - payloadAt(packet);
  return packet.family === 4 && packet.moreFragments ? length & ~7 : length;
}
