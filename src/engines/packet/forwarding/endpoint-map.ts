/**
 * Numbers by protocol, address and port: services by what clients connect to, real servers by where they answer. Asked once a
 * connection, so it may cost a few dozen nanoseconds, but it allocates nothing to find.
 */
const WORDS = 4;

interface Entry {
  readonly protocol: number;
  readonly family: 4 | 6;
  readonly word0: number;
  readonly word1: number;
  readonly word2: number;
  readonly word3: number;
  readonly port: number;
  value: number;
  /** Of the same hash. */
  next: Entry | undefined;
}

export const ABSENT = -1;

export class EndpointMap {
  readonly #buckets = new Map<number, Entry>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The value of an endpoint, or ABSENT. */
  get(protocol: number, family: 4 | 6, words: Int32Array, port: number): number {
    return this.#find(protocol, family, words, port)?.value ?? ABSENT;
  }

  /** `value` is not negative. Keeps its own copy of the words. */
  set(protocol: number, family: 4 | 6, words: Int32Array, port: number, value: number): void {
    const known = this.#find(protocol, family, words, port);
    if (known !== undefined) {
      known.value = value;
      return;
    }
    const hash = mix(protocol, words, port);
    this.#buckets.set(hash, {
      protocol,
      family,
      word0: words[0] as number,
      word1: words[1] as number,
      word2: words[2] as number,
      word3: words[3] as number,
      port,
      value,
      next: this.#buckets.get(hash),
    });
    this.#size++;
  }

  delete(protocol: number, family: 4 | 6, words: Int32Array, port: number): void {
    const entry = this.#find(protocol, family, words, port);
    if (entry === undefined) return;
    const hash = mix(protocol, words, port);
    const first = this.#buckets.get(hash);
    if (first === entry) {
      if (entry.next === undefined) this.#buckets.delete(hash);
      else this.#buckets.set(hash, entry.next);
    }
    for (let other = first; other !== undefined; other = other.next)
      if (other.next === entry) other.next = entry.next;
    this.#size--;
  }

  #find(protocol: number, family: 4 | 6, words: Int32Array, port: number): Entry | undefined {
    let entry = this.#buckets.get(mix(protocol, words, port));
    while (
      entry !== undefined &&
      (entry.port !== port || entry.protocol !== protocol || entry.family !== family || !has(entry, words))
    )
      entry = entry.next;
    return entry;
  }
}

function has({ word0, word1, word2, word3 }: Entry, words: Int32Array): boolean {
  return word0 === words[0] && word1 === words[1] && word2 === words[2] && word3 === words[3];
}

/** 30 bits, so that it is a small integer: an administrator chooses these endpoints, nobody attacks them. */
function mix(protocol: number, words: Int32Array, port: number): number {
  let hash = Math.imul(protocol ^ (port << 8), 0x9e3779b1);
  for (let word = 0; word < WORDS; word++)
    hash = Math.imul(hash ^ (words[word] as number), 0x85ebca6b) ^ (hash >>> 15);
  return hash & 0x3fffffff;
}
