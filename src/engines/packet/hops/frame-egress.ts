/**
 * Packets out: as frames on Ethernet interfaces, through the kernel's routing on all others and when they are for this
 * host itself. Implements {@link Egress} over the next hops. Hot path.
 */
import type { Capture } from '../../../platform/capture.ts';
import type { RawSender } from '../../../platform/raw-sender.ts';
import type { Address } from '../../../util/ip.ts';
import { addressWords, wordsAddress } from '../../address-words.ts';
import type { Destinations } from '../forwarding/destinations.ts';
import type { Egress } from '../forwarding/egress.ts';
import { isLoopback, NO_HOP, Place } from '../forwarding/egress.ts';
import { ABSENT, EndpointMap } from '../forwarding/endpoint-map.ts';
import type { NextHops } from './next-hops.ts';

const ETHERNET_HEADER = 14;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const LONGEST = 65536;

export interface FrameEgressParts {
  readonly hops: NextHops;
  readonly destinations: Destinations;
  /** The open capture of an interface. */
  capture(link: number): Capture | undefined;
  raw(family: 4 | 6): RawSender;
  now(): number;
  /** Something could not be sent, in words for a log. */
  problem(message: string): void;
}

export class FrameEgress implements Egress {
  readonly #parts: FrameEgressParts;
  readonly #hops: NextHops;
  /** By destination slot: the hop, as long as it is valid. */
  readonly #serverHops: number[] = [];
  readonly #frame = Buffer.alloc(ETHERNET_HEADER + LONGEST);
  #own = new EndpointMap();
  /** Frames that the kernel did not take: a full queue, a link that went down. */
  unsent = 0;

  constructor(parts: FrameEgressParts) {
    this.#parts = parts;
    this.#hops = parts.hops;
  }

  /** This host's addresses. */
  setOwn(addresses: Iterable<Address>): void {
    this.#own = new EndpointMap();
    for (const address of addresses) {
      const { family, words } = addressWords(address);
      this.#own.set(0, family, words, 0, 1);
    }
  }

  /** The slot has another server now. */
  forget(destination: number): void {
    this.#serverHops[destination] = NO_HOP;
  }

  serverHop(destination: number): number {
    const known = this.#serverHops[destination] ?? NO_HOP;
    if (this.#hops.valid(known)) return known;
    const server = this.#parts.destinations.at(destination);
    if (server === undefined) return NO_HOP;
    return (this.#serverHops[destination] = this.#hops.hopFor(server.words, server.family));
  }

  hopTo(address: Int32Array, family: 4 | 6): number {
    return this.#hops.hopFor(address, family);
  }

  valid(hop: number): boolean {
    return this.#hops.valid(hop);
  }

  place(hop: number, address: Int32Array, family: 4 | 6): Place {
    if (this.#hops.kind(hop) !== 'local') return Place.remote;
    return isLoopback(address, family) ? Place.loopback : Place.local;
  }

  mtuTo(address: Int32Array, family: 4 | 6, hop: number): number {
    return this.#hops.mtuTo(address, family, hop);
  }

  source(hop: number): Int32Array {
    return this.#hops.source(hop);
  }

  isOwn(address: Int32Array, family: 4 | 6): boolean {
    return this.#own.get(0, family, address, 0) !== ABSENT;
  }

  learnMtu(address: Int32Array, family: 4 | 6, mtu: number): void {
    this.#hops.learnMtu(address, family, mtu, this.#parts.now());
  }

  send(hop: number, bytes: Uint8Array, at: number, length: number): void {
    if (this.#hops.kind(hop) !== 'ethernet') {
      this.#sendRaw(bytes, at, length);
      return;
    }
    const link = this.#hops.link(hop);
    const capture = this.#parts.capture(link);
    if (capture === undefined) {
      this.#sendRaw(bytes, at, length);
      return;
    }
    // a captured packet that stayed where it was goes out of the buffer it came in
    const frame: Buffer = at === ETHERNET_HEADER && bytes instanceof Buffer ? (bytes as Buffer) : this.#frame;
    const inPlace = frame === bytes;
    const ethertype = (bytes[at] as number) >> 4 === 4 ? IPV4 : IPV6;
    if (!this.#hops.writeHeader(hop, frame, 0, ethertype)) {
      this.#hops.queue(hop, bytes, at, length);
      return;
    }
    if (!inPlace) copy(bytes, at, length, frame, ETHERNET_HEADER);
    this.#put(capture, frame, ETHERNET_HEADER + length);
  }

  /** Through the kernel's routing too: what comes back over `lo` from there has its route already, whatever rp_filter says. */
  local(bytes: Uint8Array, at: number, length: number): void {
    this.#sendRaw(bytes, at, length);
  }

  /** A frame that is complete: a question for a neighbour, or a packet that waited for the answer. */
  sendFrame(link: number, frame: Buffer, length: number): void {
    const capture = this.#parts.capture(link);
    if (capture !== undefined) this.#put(capture, frame, length);
  }

  /** The kernel refuses a frame when its queue is full or the link went down: as on any router, it is lost, and counted. */
  #put(capture: Capture, frame: Buffer, length: number): void {
    try {
      capture.send(frame, length);
    } catch (error) {
      if (this.unsent++ === 0) this.#parts.problem(`a packet could not be sent: ${(error as Error).message}`);
    }
  }

  readonly #words = new Int32Array(4);

  #sendRaw(bytes: Uint8Array, at: number, length: number): void {
    const family = (bytes[at] as number) >> 4 === 4 ? 4 : 6;
    const offset = at + (family === 4 ? 16 : 24);
    const view = new DataView(bytes.buffer, bytes.byteOffset + offset, family === 4 ? 4 : 16);
    this.#words.fill(0);
    for (let word = 0; word * 4 < view.byteLength; word++) this.#words[word] = view.getInt32(word * 4);
    const to = wordsAddress(this.#words, family);
    const error = this.#parts
      .raw(family)
      .send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), at, length, to);
    if (error !== undefined && this.unsent++ === 0)
      this.#parts.problem(`a packet to ${to} could not be sent: ${error}`);
  }
}

function copy(from: Uint8Array, at: number, length: number, to: Uint8Array, start: number): void {
  to.set(from.subarray(at, at + length), start);
}
