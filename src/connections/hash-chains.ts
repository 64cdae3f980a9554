/**
 * Slots found by a 32-bit hash. The newest of those with the same hash comes first, also after growing: where two
 * connections have one key, the older one is over. Hot path.
 */

/** No slot. */
export const NO_SLOT = -1;

/** Two words a slot: the next one of its chain, and its hash. */
const NEXT = 0;
const HASH = 1;

export class HashChains {
  /** First slot of each chain, or NO_SLOT; as many as there are slots. */
  #heads: Int32Array;
  #links: Int32Array;

  /** @param slots a power of two */
  constructor(slots: number) {
    this.#heads = new Int32Array(slots).fill(NO_SLOT);
    this.#links = new Int32Array(2 * slots);
  }

  /** Bytes that it takes. */
  get bytes(): number {
    return this.#heads.byteLength + this.#links.byteLength;
  }

  /** The first slot with this hash, or NO_SLOT. */
  first(hash: number): number {
    return this.#from(this.#heads[hash & (this.#heads.length - 1)] as number, hash);
  }

  /** The next one with the same hash, or NO_SLOT. */
  after(slot: number, hash: number): number {
    return this.#from(this.#link(slot, NEXT), hash);
  }

  /** Enters a slot that is not in it. */
  add(slot: number, hash: number): void {
    const bucket = hash & (this.#heads.length - 1);
    this.#links[2 * slot + NEXT] = this.#heads[bucket] as number;
    this.#links[2 * slot + HASH] = hash;
    this.#heads[bucket] = slot;
  }

  /** Takes out a slot that is in it. */
  remove(slot: number): void {
    const bucket = this.#link(slot, HASH) & (this.#heads.length - 1);
    const next = this.#link(slot, NEXT);
    let before = this.#heads[bucket] as number;
    if (before === slot) {
      this.#heads[bucket] = next;
      return;
    }
    while (this.#link(before, NEXT) !== slot) before = this.#link(before, NEXT);
    this.#links[2 * before + NEXT] = next;
  }

  /** Doubles the slots. */
  grow(): void {
    const before = this.#heads;
    const after = new Int32Array(2 * before.length).fill(NO_SLOT);
    const links = new Int32Array(2 * this.#links.length);
    links.set(this.#links);
    this.#heads = after;
    this.#links = links;
    for (let bucket = 0; bucket < before.length; bucket++) {
      // a chain falls apart into two, each in the order that it had
      let low = NO_SLOT;
      let high = NO_SLOT;
      for (let slot = before[bucket] as number; slot !== NO_SLOT; slot = this.#link(slot, NEXT)) {
        const stays = (this.#link(slot, HASH) & before.length) === 0;
        const last = stays ? low : high;
        if (last === NO_SLOT) after[stays ? bucket : bucket + before.length] = slot;
        else links[2 * last + NEXT] = slot;
        if (stays) low = slot;
        else high = slot;
      }
      if (low !== NO_SLOT) links[2 * low + NEXT] = NO_SLOT;
      if (high !== NO_SLOT) links[2 * high + NEXT] = NO_SLOT;
    }
  }

  #from(slot: number, hash: number): number {
    let found = slot;
    while (found !== NO_SLOT && this.#link(found, HASH) !== hash) found = this.#link(found, NEXT);
    return found;
  }

  #link(slot: number, which: typeof NEXT | typeof HASH): number {
    return this.#links[2 * slot + which] as number;
  }
}
