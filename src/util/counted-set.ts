/** A set of things that several owners may want: each is in it while anybody wants it, and what came and went is told in one go. */

export interface SetChange<Item> {
  readonly added: readonly Item[];
  readonly removed: readonly Item[];
}

export class CountedSet<Item> {
  readonly #wanted = new Map<string, { readonly item: Item; count: number }>();
  readonly #added = new Map<string, Item>();
  readonly #removed = new Map<string, Item>();

  get size(): number {
    return this.#wanted.size;
  }

  /** How many were in it when what changed was taken last. */
  get taken(): number {
    return this.#wanted.size - this.#added.size + this.#removed.size;
  }

  has(key: string): boolean {
    return this.#wanted.has(key);
  }

  items(): readonly Item[] {
    return Array.from(this.#wanted.values(), ({ item }) => item);
  }

  /** @returns whether nobody wanted it before */
  add(key: string, item: Item): boolean {
    const known = this.#wanted.get(key);
    if (known !== undefined) {
      known.count++;
      return false;
    }
    this.#wanted.set(key, { item, count: 1 });
    if (!this.#removed.delete(key)) this.#added.set(key, item);
    return true;
  }

  /** @returns whether nobody wants it any more */
  remove(key: string): boolean {
    const known = this.#wanted.get(key);
    if (known === undefined || --known.count > 0) return false;
    this.#wanted.delete(key);
    if (!this.#added.delete(key)) this.#removed.set(key, known.item);
    return true;
  }

  /** What is different from the last call; things that came and went meanwhile are in neither list. */
  takeChange(): SetChange<Item> {
    const change = { added: [...this.#added.values()], removed: [...this.#removed.values()] };
    this.#added.clear();
    this.#removed.clear();
    return change;
  }
}
