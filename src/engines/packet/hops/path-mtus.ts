/**
 * Path MTUs learned from "fragmentation needed" and "packet too big" (RFC 1191, RFC 8201), by destination, for as long as
 * Linux keeps them. A hash of fixed size without chains: of two addresses that collide the later is remembered.
 */
import { hashWords } from './hash-words.ts';

const SLOTS = 4096;
/** Words of a slot: address x4, family, MTU. */
const STRIDE = 6;
/** net.ipv4.route.mtu_expires and net.ipv6.route.mtu_expires */
const KEPT = 600_000;
/** net.ipv4.route.min_pmtu; RFC 8200 section 5 */
const LEAST = { 4: 552, 6: 1280 } as const;

export class PathMtus {
  readonly #slots = new Int32Array(SLOTS * STRIDE);
  readonly #until = new Float64Array(SLOTS);
  /** When the last of them is forgotten: until something is learned a look costs one comparison. */
  #last = 0;

  /** Only ever lowers what is known, as the kernel does. @param now milliseconds */
  learn(address: Int32Array, family: 4 | 6, mtu: number, now: number, kept = KEPT): void {
    const least = LEAST[family];
    const learned = mtu < least ? least : mtu;
    if (learned > this.at(address, family, now)) return;
    const slot = slotOf(address);
    this.#slots.set(address, slot * STRIDE);
    this.#slots[slot * STRIDE + 4] = family;
    this.#slots[slot * STRIDE + 5] = learned;
    this.#until[slot] = now + kept;
    this.#last = Math.max(this.#last, now + kept);
  }

  /** @returns the path MTU in bytes, or Infinity when none was learned. Hot path. */
  at(address: Int32Array, family: 4 | 6, now: number): number {
    if (now >= this.#last) return Infinity;
    const slots = this.#slots;
    const slot = slotOf(address);
    const at = slot * STRIDE;
    return slots[at] === address[0] &&
      slots[at + 1] === address[1] &&
      slots[at + 2] === address[2] &&
      slots[at + 3] === address[3] &&
      slots[at + 4] === family &&
      now < (this.#until[slot] as number)
      ? (slots[at + 5] as number)
      : Infinity;
  }
}

function slotOf(address: Int32Array): number {
  return hashWords(address) & (SLOTS - 1);
}
