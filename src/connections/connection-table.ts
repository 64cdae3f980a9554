/**
 * The connections of one forwarding thread (IPVS's connection table): which destination each client flow was scheduled
 * to, its state and its timer, found by {@link ConnectionKey}. It keeps the pool's active and inactive counts, so that
 * these are right at every moment, whoever shares the pool. Hot path: no object per connection, nothing allocates but
 * {@link #grow}.
 *
 * ```
 *   a record, 64 bytes:  used, protocol, family, state, flags | client x4 | virtual x4 | ports | destination |
 *                        next in its hash chain (or of the free slots) | user x2 | template | hash
 *   beside it 20 bytes:  head of a hash chain, timer
 * ```
 */
import type { Pool } from '../scheduling/pool.ts';
import { KEY_WORDS } from './connection-key.ts';
import type { ConnectionKey } from './connection-key.ts';
import { hashKey } from './hash.ts';
import { TCP } from './protocols.ts';
import { isActive, TcpState } from './tcp-states.ts';
import { TimerWheel } from './timer-wheel.ts';
import type { ConnectionTimeouts } from './timeouts.ts';

/** No connection. */
export const NO_SLOT = -1;

const RECORD_WORDS = 16;
const RECORD_SHIFT = 4;

/** Offsets of a record's words. The first ten are those of the key, with more bits in word 0. */
const R = { destination: 10, next: 11, user: 12, template: 14, hash: 15 } as const;

/** Word 0: protocol and family as in the key (0 in a free record), then these. */
const KEY_MASK = 0x7ff;
const COUNTED_ACTIVE = 0x800;
const STATE_SHIFT = 12;
const STATE_MASK = 0xf;
const FLAGS_SHIFT = 16;

export interface ConnectionTableOptions {
  /** Random 32 bits, so that nobody outside can choose addresses that share a hash chain. */
  readonly seed: number;
  /** Shared; a change counts from each connection's next packet on. */
  readonly timeouts: ConnectionTimeouts;
  /** Milliseconds: start of the timers. */
  readonly now: number;
  /** Slots to begin with, a power of two; doubles when full. */
  readonly capacity?: number;
  /** The most connections ever. */
  readonly limit?: number;
  /** Which of the pool's counts it keeps. */
  readonly counts?: 'connections' | 'templates';
  /** Told which templates connections refer to. */
  readonly templates?: TemplateHolder;
}

/** Whoever keeps persistence templates alive while connections refer to them. */
export interface TemplateHolder {
  hold(template: number): void;
  release(template: number): void;
  /** A connection that refers to it was established: the client is real. */
  assure(template: number): void;
}

export class ConnectionTable {
  readonly #pool: Pool;
  readonly #timeouts: ConnectionTimeouts;
  readonly #seed: number;
  readonly #limit: number;
  readonly #countsTemplates: boolean;
  readonly #templates: TemplateHolder | undefined;
  readonly #timers: TimerWheel;
  #records: Int32Array;
  #heads: Int32Array;
  #size = 0;
  /** Slots from here on were never used. */
  #fresh = 0;
  #free = NO_SLOT;

  constructor(pool: Pool, options: ConnectionTableOptions) {
    const { capacity = 1024, limit = 2 ** 24, counts = 'connections' } = options;
    this.#pool = pool;
    this.#timeouts = options.timeouts;
    this.#seed = options.seed;
    this.#limit = limit;
    this.#countsTemplates = counts === 'templates';
    this.#templates = options.templates;
    this.#timers = new TimerWheel(capacity, options.now);
    this.#records = new Int32Array(capacity * RECORD_WORDS);
    this.#heads = new Int32Array(capacity).fill(NO_SLOT);
  }

  /** Connections in the table. */
  get size(): number {
    return this.#size;
  }

  /** Slots that it has memory for. */
  get capacity(): number {
    return this.#heads.length;
  }

  /** Memory that it takes. */
  get bytes(): number {
    return this.#records.byteLength + this.#heads.byteLength + this.#timers.bytes;
  }

  /** The slot of the connection with this key, or NO_SLOT. */
  find(key: ConnectionKey): number {
    const hash = hashKey(key.words, this.#seed);
    let slot = this.#heads[hash & (this.capacity - 1)] as number;
    while (slot !== NO_SLOT && !(this.#word(slot, R.hash) === hash && this.#matches(slot, key.words))) {
      slot = this.#word(slot, R.next);
    }
    return slot;
  }

  /**
   * Enters a connection whose key is not in the table: state 0, counted as inactive. Its slot stays the same until it is
   * removed.
   * @returns its slot, or NO_SLOT when the table has reached its limit
   */
  insert(key: ConnectionKey, destination: number, now: number): number {
    if (this.#size >= this.#limit) return NO_SLOT;
    const slot = this.#allocate();
    const at = slot << RECORD_SHIFT;
    const records = this.#records;
    records[at] = 0;
    this.#writeKey(slot, key);
    records[at + R.destination] = destination;
    records[at + R.user] = 0;
    records[at + R.user + 1] = 0;
    records[at + R.template] = NO_SLOT;
    this.#chain(slot);
    this.#size++;
    this.#timers.start(slot, now + this.#timeouts.ofNew(key.protocol) * 1000);
    this.#count(slot, 1);
    return slot;
  }

  /** Pool slot of its destination. */
  destination(slot: number): number {
    return this.#word(slot, R.destination);
  }

  /** Moves a connection to another destination: nothing of it has reached the one it has. */
  rebind(slot: number, destination: number): void {
    this.#count(slot, -1);
    this.#setWord(slot, R.destination, destination);
    this.#count(slot, 1);
  }

  /** Pool slot of its service. */
  service(slot: number): number {
    return this.#pool.serviceOf(this.destination(slot));
  }

  /** IP protocol number. */
  protocol(slot: number): number {
    return this.#word(slot, 0) & 0xff;
  }

  state(slot: number): number {
    return (this.#word(slot, 0) >>> STATE_SHIFT) & STATE_MASK;
  }

  /** 16 bits for the engine's own use, 0 at first. */
  flags(slot: number): number {
    return this.#word(slot, 0) >>> FLAGS_SHIFT;
  }

  setFlags(slot: number, flags: number): void {
    this.#setWord(slot, 0, (this.#word(slot, 0) & 0xffff) | (flags << FLAGS_SHIFT));
  }

  /** Two 32-bit words for the engine's own use, 0 at first. */
  user(slot: number, word: 0 | 1): number {
    return this.#word(slot, R.user + word);
  }

  setUser(slot: number, word: 0 | 1, value: number): void {
    this.#setWord(slot, R.user + word, value);
  }

  /** Slot of the persistence template that chose its destination, or NO_SLOT. */
  template(slot: number): number {
    return this.#word(slot, R.template);
  }

  setTemplate(slot: number, template: number): void {
    this.#releaseTemplate(slot);
    this.#setWord(slot, R.template, template);
    if (template === NO_SLOT) return;
    this.#templates?.hold(template);
    if (this.#isEstablished(slot)) this.#templates?.assure(template);
  }

  /** The state after a packet: adapts the pool's counts and restarts the timer with the state's timeout. */
  setState(slot: number, state: number, now: number): void {
    const word = this.#word(slot, 0);
    const protocol = word & 0xff;
    const active = protocol === TCP && isActive(state) && !this.#countsTemplates;
    const kept = word & ~((STATE_MASK << STATE_SHIFT) | COUNTED_ACTIVE);
    this.#setWord(slot, 0, kept | (state << STATE_SHIFT) | (active ? COUNTED_ACTIVE : 0));
    if (active !== ((word & COUNTED_ACTIVE) !== 0)) {
      this.#pool.move(this.destination(slot), active ? 'active' : 'inactive');
    }
    this.#timers.restart(slot, now + this.#timeouts.of(protocol, state) * 1000);
    const template = this.template(slot);
    if (template !== NO_SLOT && this.#isEstablished(slot)) this.#templates?.assure(template);
  }

  /** A packet that left the state as it is: restarts the timer. */
  touch(slot: number, now: number): void {
    this.setTimeout(slot, this.#timeouts.of(this.protocol(slot), this.state(slot)), now);
  }

  /** Restarts the timer with a timeout of its own, in seconds. */
  setTimeout(slot: number, seconds: number, now: number): void {
    this.#timers.restart(slot, now + seconds * 1000);
  }

  /** Whole seconds until it expires, as listings show them. */
  expires(slot: number, now: number): number {
    return Math.max(0, Math.floor((this.#timers.deadline(slot) - now) / 1000));
  }

  /** Removes a connection and uncounts it. @throws RangeError when the slot holds none. */
  remove(slot: number): void {
    if (this.#word(slot, 0) === 0) throw new RangeError(`no connection in slot ${slot}`);
    this.#timers.stop(slot);
    this.#count(slot, -1);
    this.#releaseTemplate(slot);
    this.#unchain(slot);
    this.#setWord(slot, 0, 0);
    this.#setWord(slot, R.next, this.#free);
    this.#free = slot;
    this.#size--;
  }

  /**
   * Lets time pass; to be called about once a second. For every connection whose timer ran out `expired` says for how
   * many more seconds it lives on: 0 and it is removed. It may insert connections and remove others, but not its own.
   */
  advance(now: number, expired: (slot: number) => number): void {
    this.#timers.advance(now, (slot) => {
      const seconds = expired(slot);
      if (seconds > 0) this.setTimeout(slot, seconds, now);
      else this.remove(slot);
    });
  }

  /** Gives it another key, which is not in the table either, or which nobody looks for. */
  rekey(slot: number, key: ConnectionKey): void {
    this.#unchain(slot);
    this.#writeKey(slot, key);
    this.#chain(slot);
  }

  /** Reads its key. */
  key(slot: number, into: ConnectionKey): void {
    const at = slot << RECORD_SHIFT;
    for (let word = 0; word < KEY_WORDS; word++) into.words[word] = this.#records[at + word] as number;
    into.words[0] = this.#word(slot, 0) & KEY_MASK;
  }

  /** Visits every connection. The visitor may remove the one it is shown. */
  forEach(visit: (slot: number) => void): void {
    const end = this.#fresh;
    for (let slot = 0; slot < end; slot++) if (this.#word(slot, 0) !== 0) visit(slot);
  }

  /** Only the first word of an IPv4 address counts: nobody has to clear the others. */
  #matches(slot: number, key: Int32Array): boolean {
    const at = slot << RECORD_SHIFT;
    const records = this.#records;
    const word = key[0] as number;
    if (((records[at] as number) & KEY_MASK) !== word) return false;
    const step = word >> 8 === 4 ? 4 : 1;
    for (let i = 1; i < KEY_WORDS; i += step) if (records[at + i] !== key[i]) return false;
    return true;
  }

  #writeKey(slot: number, key: ConnectionKey): void {
    const at = slot << RECORD_SHIFT;
    const more = this.#word(slot, 0) & ~KEY_MASK;
    this.#records.set(key.words, at);
    this.#setWord(slot, 0, more | this.#word(slot, 0));
    this.#setWord(slot, R.hash, hashKey(key.words, this.#seed));
  }

  #isEstablished(slot: number): boolean {
    return this.protocol(slot) !== TCP || this.state(slot) === TcpState.established;
  }

  #count(slot: number, change: 1 | -1): void {
    const destination = this.destination(slot);
    if (this.#countsTemplates) this.#pool.addPersistent(destination, change);
    else if ((this.#word(slot, 0) & COUNTED_ACTIVE) !== 0) this.#pool.addActive(destination, change);
    else this.#pool.addInactive(destination, change);
  }

  #releaseTemplate(slot: number): void {
    const template = this.template(slot);
    if (template !== NO_SLOT) this.#templates?.release(template);
  }

  #allocate(): number {
    const slot = this.#free;
    if (slot !== NO_SLOT) {
      this.#free = this.#word(slot, R.next);
      return slot;
    }
    if (this.#fresh === this.capacity) this.#grow();
    return this.#fresh++;
  }

  /** Doubles the capacity. Slots stay the same. */
  #grow(): void {
    const capacity = this.capacity * 2;
    const records = new Int32Array(capacity * RECORD_WORDS);
    records.set(this.#records);
    this.#records = records;
    this.#heads = new Int32Array(capacity).fill(NO_SLOT);
    this.#timers.grow(capacity);
    this.forEach((slot) => {
      this.#chain(slot);
    });
  }

  #chain(slot: number): void {
    const bucket = this.#word(slot, R.hash) & (this.capacity - 1);
    this.#setWord(slot, R.next, this.#heads[bucket] as number);
    this.#heads[bucket] = slot;
  }

  #unchain(slot: number): void {
    const bucket = this.#word(slot, R.hash) & (this.capacity - 1);
    const next = this.#word(slot, R.next);
    let before = this.#heads[bucket] as number;
    if (before === slot) {
      this.#heads[bucket] = next;
      return;
    }
    while (this.#word(before, R.next) !== slot) before = this.#word(before, R.next);
    this.#setWord(before, R.next, next);
  }

  #word(slot: number, word: number): number {
    return this.#records[(slot << RECORD_SHIFT) + word] as number;
  }

  #setWord(slot: number, word: number, value: number): void {
    this.#records[(slot << RECORD_SHIFT) + word] = value;
  }
}
