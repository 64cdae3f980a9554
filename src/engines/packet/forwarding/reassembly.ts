/**
 * Puts fragmented datagrams together before they are looked at, for a later fragment has no ports. Like Linux's: a
 * datagram whose fragments overlap is dropped (RFC 5722, and so for IPv4), memory is bounded, the oldest goes first.
 */
import { IpPacket, Malformed } from '../../../wire/ip-packet.ts';
import { FragmentList, fragmentIsSound } from './fragment-list.ts';

export interface ReassemblyOptions {
  /** Of all unfinished datagrams. */
  readonly limitBytes?: number;
  /** Unfinished datagrams at a time. */
  readonly datagrams?: number;
}

/** Counts since the start. */
export interface ReassemblyDrops {
  /** Datagrams that were not whole in time. */
  expired: number;
  /** Datagrams that had to make room. */
  evicted: number;
  /** Datagrams whose fragments overlap or disagree where it ends. */
  overlapping: number;
  /** Fragments, and whole datagrams, that make no valid packet. */
  malformed: number;
  /** Fragments that were there already. */
  duplicates: number;
}

/** Milliseconds from the first fragment on. */
const LIFETIME_IPV4 = 30_000;
const LIFETIME_IPV6 = 60_000;

/** Bytes free before the whole datagram in its buffer, for link and tunnel headers. */
export const REASSEMBLY_HEADROOM = 128;

/**
 * The unfinished datagrams of a family, by what their fragments have in common, and in the order in which they began: linked, for a Map
 * whose first entries are deleted again and again is slow to find its first.
 */
class Lists {
  readonly #byKey = new Map<string, FragmentList>();
  #newest: FragmentList | undefined;
  oldest: FragmentList | undefined;

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): FragmentList | undefined {
    return this.#byKey.get(key);
  }

  add(list: FragmentList): void {
    this.#byKey.set(list.key, list);
    list.older = this.#newest;
    if (this.#newest === undefined) this.oldest = list;
    else this.#newest.newer = list;
    this.#newest = list;
  }

  delete(list: FragmentList): void {
    this.#byKey.delete(list.key);
    if (list.older === undefined) this.oldest = list.newer;
    else list.older.newer = list.newer;
    if (list.newer === undefined) this.#newest = list.older;
    else list.newer.older = list.older;
    list.older = list.newer = undefined;
  }
}

export class Reassembly {
  readonly #limitBytes: number;
  readonly #most: number;
  readonly #buffer = new Uint8Array(REASSEMBLY_HEADROOM + 40 + 0xffff);
  readonly #whole = new IpPacket();
  /** Each family with its own lifetime. */
  readonly #ipv4 = new Lists();
  readonly #ipv6 = new Lists();
  #bytes = 0;
  #largestFragment = 0;
  readonly #dropped = { expired: 0, evicted: 0, overlapping: 0, malformed: 0, duplicates: 0 };

  constructor(options: ReassemblyOptions) {
    this.#limitBytes = options.limitBytes ?? 4 * 2 ** 20;
    this.#most = options.datagrams ?? 8192;
  }

  get dropped(): Readonly<ReassemblyDrops> {
    return this.#dropped;
  }

  /** Length of the largest fragment of the datagram that add() returned last: no fragment sent on need be larger. */
  get largestFragment(): number {
    return this.#largestFragment;
  }

  /** Memory of the unfinished datagrams. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Unfinished datagrams. */
  get size(): number {
    return this.#ipv4.size + this.#ipv6.size;
  }

  /**
   * Takes a fragment.
   * @param now milliseconds
   * @returns the whole datagram when this was the last that was missing, valid until the next call: no fragment, DF where
   *   the largest fragment had it, and with REASSEMBLY_HEADROOM bytes free before it
   */
  add(packet: IpPacket, now: number): IpPacket | undefined {
    this.advance(now);
    if (!fragmentIsSound(packet)) {
      this.#dropped.malformed++;
      return undefined;
    }
    const lists = packet.family === 4 ? this.#ipv4 : this.#ipv6;
    const key = keyOf(packet);
    const list = lists.get(key) ?? this.#begin(lists, key, now);
    const costBefore = list.cost;
    const fit = list.add(packet);
    this.#bytes += list.cost - costBefore;
    if (fit === 'duplicate') this.#dropped.duplicates++;
    if (fit === 'contradiction') {
      this.#dropped.overlapping++;
      this.#remove(lists, list);
    }
    if (fit !== 'new') return undefined;
    if (list.isWhole) {
      this.#remove(lists, list);
      return this.#assemble(list);
    }
    while (this.#bytes > this.#limitBytes || this.size > this.#most) this.#evictOldest();
    return undefined;
  }

  /** Forgets the datagrams whose time is up. */
  advance(now: number): void {
    this.#expire(this.#ipv4, now - LIFETIME_IPV4);
    this.#expire(this.#ipv6, now - LIFETIME_IPV6);
  }

  #begin(lists: Lists, key: string, now: number): FragmentList {
    const list = new FragmentList(key, now);
    lists.add(list);
    this.#bytes += list.cost;
    return list;
  }

  #assemble(list: FragmentList): IpPacket | undefined {
    const whole = this.#whole;
    const length = list.assemble(this.#buffer, REASSEMBLY_HEADROOM);
    if (length === 0 || whole.read(this.#buffer, REASSEMBLY_HEADROOM, length) !== Malformed.none) {
      this.#dropped.malformed++;
      return undefined;
    }
    this.#largestFragment = list.largest;
    return whole;
  }

  #expire(lists: Lists, since: number): void {
    for (let list = lists.oldest; list !== undefined && list.since <= since; list = lists.oldest) {
      this.#remove(lists, list);
      this.#dropped.expired++;
    }
  }

  #evictOldest(): void {
    const ipv4 = this.#ipv4.oldest;
    const ipv6 = this.#ipv6.oldest;
    if (ipv4 !== undefined && (ipv6 === undefined || ipv4.since <= ipv6.since))
      this.#remove(this.#ipv4, ipv4);
    else if (ipv6 !== undefined) this.#remove(this.#ipv6, ipv6);
    this.#dropped.evicted++;
  }

  #remove(lists: Lists, list: FragmentList): void {
    lists.delete(list);
    this.#bytes -= list.cost;
  }
}

/** What the fragments of one datagram have in common. */
function keyOf(packet: IpPacket): string {
  const { identification } = packet;
  if (packet.family === 4) {
    return `${packet.sourceWord(0)},${packet.destinationWord(0)},${identification},${packet.protocol}`;
  }
  let key = `${identification}`;
  for (let i = 0; i < 4; i++) key += `,${packet.sourceWord(i)},${packet.destinationWord(i)}`;
  return key;
}
