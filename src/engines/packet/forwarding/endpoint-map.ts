/**
 * Numbers by protocol, address and port: services by what clients connect to, real servers by where they answer. Asked once a
 * connection, so it may cost a few dozen nanoseconds, but it allocates nothing to find.
 */
const WORDS = 4;

interface Entry {
  readonly protocol: number;
  readonly family: 4 | 6;
  readonly words: Int32Array;
  readonly port: number;
  value: number;
}

export const ABSENT = -1;

export class EndpointMap {
  readonly #buckets = new Map<number, Entry[]>();
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
    const entry = { protocol, family, words: words.slice(), port, value };
    const hash = mix(protocol, words, port);
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) this.#buckets.set(hash, [entry]);
    else bucket.push(entry);
    this.#size++;
  }

  delete(protocol: number, family: 4 | 6, words: Int32Array, port: number): void {
    const entry = this.#find(protocol, family, words, port);
    if (entry === undefined) return;
    const hash = mix(protocol, words, port);
    const rest = (this.#buckets.get(hash) ?? []).filter((other) => other !== entry);
    if (rest.length === 0) this.#buckets.delete(hash);
    else this.#buckets.set(hash, rest);
    this.#size--;
  }

  #find(protocol: number, family: 4 | 6, words: Int32Array, port: number): Entry | undefined {
    const bucket = this.#buckets.get(mix(protocol, words, port));
    if (bucket === undefined) return undefined;
    for (const entry of bucket) {
      if (entry.port === port && entry.protocol === protocol && entry.family === family) {
        let word = 0;
        while (word < WORDS && entry.words[word] === words[word]) word++;
        if (word === WORDS) return entry;
      }
    }
    return undefined;
  }
}

/** 30 bits, so that it is a small integer: an administrator chooses these endpoints, nobody attacks them. */
function mix(protocol: number, words: Int32Array, port: number): number {
  let hash = Math.imul(protocol ^ (port << 8), 0x9e3779b1);
  for (let word = 0; word < WORDS; word++)
    hash = Math.imul(hash ^ (words[word] as number), 0x85ebca6b) ^ (hash >>> 15);
  return hash & 0x3fffffff;
}
