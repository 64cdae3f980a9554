/**
 * The half-open connections, oldest first: those that a flood of made-up clients can open, because nothing has proved
 * yet that anybody is there. A list through the slots, so that any of them leaves it at once. Hot path.
 */

/** Two links a node: the newer one and the older one; 0 in slots that are not in the list. */
const NEWER = 0;
const OLDER = 1;

/** The node between the newest and the oldest. A slot's node is 2 more than its number. */
const ENDS = 1;
const FIRST = 2;

export class HalfOpen {
  #links: Int32Array;
  #size = 0;

  constructor(slots: number) {
    this.#links = new Int32Array(2 * (slots + FIRST));
    this.#links.fill(ENDS, 2 * ENDS, 2 * FIRST);
  }

  /** Slots in the list. */
  get size(): number {
    return this.#size;
  }

  /** Bytes that it takes. */
  get bytes(): number {
    return this.#links.byteLength;
  }

  /** The oldest slot. There must be one. */
  get oldest(): number {
    return this.#link(ENDS, NEWER) - FIRST;
  }

  has(slot: number): boolean {
    return this.#link(slot + FIRST, NEWER) !== 0;
  }

  /** Enters a slot that is not in the list, as the newest. */
  add(slot: number): void {
    const node = slot + FIRST;
    const newest = this.#link(ENDS, OLDER);
    this.#join(newest, node);
    this.#join(node, ENDS);
    this.#size++;
  }

  /** Takes a slot out. @returns false when it was not in the list */
  remove(slot: number): boolean {
    if (!this.has(slot)) return false;
    const node = slot + FIRST;
    this.#join(this.#link(node, OLDER), this.#link(node, NEWER));
    this.#links[2 * node + NEWER] = 0;
    this.#links[2 * node + OLDER] = 0;
    this.#size--;
    return true;
  }

  grow(slots: number): void {
    const links = new Int32Array(2 * (slots + FIRST));
    links.set(this.#links);
    this.#links = links;
  }

  #link(node: number, which: typeof NEWER | typeof OLDER): number {
    return this.#links[2 * node + which] as number;
  }

  #join(older: number, newer: number): void {
    this.#links[2 * older + NEWER] = newer;
    this.#links[2 * newer + OLDER] = older;
  }
}
