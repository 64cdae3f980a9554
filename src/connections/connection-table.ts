/**
 * The connections of one forwarding thread (IPVS's connection table): which destination each client flow was scheduled
 * to, its state and its timer, found by {@link ConnectionKey}. It keeps the pool's active and inactive counts, so that
 * these are right at every moment, whoever shares the pool. Hot path: no object per connection, nothing allocates but
 * {@link #grow}.
 *
 * ```
 *   a record, 64 bytes:  used, protocol, family, state, flags | client x4 | virtual x4 | ports |
 *                        destination (of a free one: the next free one) | template | user x4
 *   beside it 28 bytes:  hash chain 12, timer 16
 *   and where asked for: chain of the reply's key 12, links of the half-open ones 8
 * ```
 */
import type { Pool } from '../scheduling/pool.ts';
import { ConnectionKey, KEY_WORDS } from './connection-key.ts';
import { HalfOpen } from './half-open.ts';
import { HashChains, NO_SLOT } from './hash-chains.ts';
import { hashKey } from './hash.ts';
import { TCP } from './protocols.ts';
import { isActive, TcpState } from './tcp-states.ts';
import { TimerWheel } from './timer-wheel.ts';
import type { ConnectionTimeouts } from './timeouts.ts';

export { NO_SLOT };

const RECORD_WORDS = 16;
const RECORD_SHIFT = 4;

/** Offsets of a record's words. The first ten are those of the key, with more bits in word 0. */
const R = { client: 1, virtual: 5, ports: 9, destination: 10, template: 11, port: 12, user: 13 } as const;

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
  readonly templates?: TemplateHolder | undefined;
  /** Also found by the key of what the destination answers. */
  readonly twoWay?: boolean;
  /**
   * The most connections that are half-open: not {@link ConnectionTable.confirm}ed. The oldest makes room for one too
   * many, and for any new connection when the table has reached its limit. Without it all count as confirmed.
   */
  readonly halfOpen?: number;
  /** Told of a half-open connection that is about to make room. It must leave the table as it is. */
  readonly evicted?: ((slot: number) => void) | undefined;
}

/** Whoever keeps persistence templates alive while connections refer to them. */
export interface TemplateHolder {
  hold(template: number): void;
  release(template: number): void;
  /** A connection that refers to it was confirmed: no flood may cost the client its server. */
  confirm(template: number): void;
  /** A connection that refers to it was established: listings show it. */
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
  readonly #chains: HashChains;
  readonly #replies: HashChains | undefined;
  readonly #replyKey = new ConnectionKey();
  readonly #halfOpen: HalfOpen | undefined;
  readonly #halfOpenLimit: number;
  readonly #evicted: ((slot: number) => void) | undefined;
  #records: Int32Array;
  #capacity: number;
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
    this.#capacity = capacity;
    this.#records = new Int32Array(capacity * RECORD_WORDS);
    this.#chains = new HashChains(capacity);
    this.#replies = options.twoWay === true ? new HashChains(capacity) : undefined;
    this.#halfOpen = options.halfOpen === undefined ? undefined : new HalfOpen(capacity);
    this.#halfOpenLimit = options.halfOpen ?? 0;
    this.#evicted = options.evicted;
  }

  /** Connections in the table. */
  get size(): number {
    return this.#size;
  }

  /** Half-open connections in the table. */
  get halfOpen(): number {
    return this.#halfOpen?.size ?? 0;
  }

  /** Slots that it has memory for. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Memory that it takes. */
  get bytes(): number {
    const always = this.#records.byteLength + this.#chains.bytes + this.#timers.bytes;
    return always + (this.#replies?.bytes ?? 0) + (this.#halfOpen?.bytes ?? 0);
  }

  /** The slot of the connection with this key, or NO_SLOT. */
  find(key: ConnectionKey): number {
    const hash = hashKey(key.words, this.#seed);
    let slot = this.#chains.first(hash);
    while (slot !== NO_SLOT && !this.#matches(slot, key.words)) slot = this.#chains.after(slot, hash);
    return slot;
  }

  /**
   * The slot of the connection whose destination answers with this key, or NO_SLOT: client as in its own key, the
   * destination's address and {@link destinationPort} in place of the virtual ones. Of several the newest. Finds nothing
   * in a table that is not two-way.
   * @param without connections with one of these {@link flags} do not count: their destinations answer past the director
   */
  findReply(key: ConnectionKey, without = 0): number {
    const chains = this.#replies;
    if (chains === undefined) return NO_SLOT;
    const hash = hashKey(key.words, this.#seed);
    let slot = chains.first(hash);
    while (slot !== NO_SLOT && ((this.flags(slot) & without) !== 0 || !this.#matchesReply(slot, key.words)))
      slot = chains.after(slot, hash);
    return slot;
  }

  /**
   * Enters a connection whose key is not in the table: state 0, half-open, counted as inactive. Its slot stays the same
   * until it is removed.
   * @param port that the destination answers from; of itself its own, or that of the virtual service where it has port 0
   * @returns its slot, or NO_SLOT when the table has reached its limit and none of its connections is half-open
   */
  insert(
    key: ConnectionKey,
    destination: number,
    now: number,
    port = this.#usualPort(key, destination),
  ): number {
    if (this.#size >= this.#limit && !this.#evict()) return NO_SLOT;
    const slot = this.#allocate();
    const at = slot << RECORD_SHIFT;
    const records = this.#records;
    records.set(key.words, at);
    records[at + R.destination] = destination;
    records[at + R.port] = port;
    for (let word = at + R.user; word < at + RECORD_WORDS; word++) records[word] = 0;
    records[at + R.template] = NO_SLOT;
    this.#chains.add(slot, hashKey(key.words, this.#seed));
    this.#chainReply(slot);
    this.#size++;
    this.#timers.start(slot, now + this.#timeouts.ofNew(key.protocol) * 1000);
    this.#count(slot, 1);
    this.doubt(slot);
    return slot;
  }

  /** Pool slot of its destination. */
  destination(slot: number): number {
    return this.#word(slot, R.destination);
  }

  /** Port that its destination answers from. */
  destinationPort(slot: number): number {
    return this.#word(slot, R.port);
  }

  /** Moves a connection to another destination: nothing of it has reached the one it has. */
  rebind(slot: number, destination: number): void {
    this.#count(slot, -1);
    this.#replies?.remove(slot);
    this.#setWord(slot, R.destination, destination);
    const port = this.#pool.port(destination);
    this.#setWord(slot, R.port, port === 0 ? this.#word(slot, R.ports) & 0xffff : port);
    this.#chainReply(slot);
    this.#count(slot, 1);
  }

  /**
   * Somebody is there: a second packet, or an answer, was seen. It makes room for no other any more. A TCP connection is
   * confirmed by being established, whatever states it was in before.
   */
  confirm(slot: number): void {
    if (this.#halfOpen?.remove(slot) !== true) return;
    const template = this.template(slot);
    if (template !== NO_SLOT) this.#templates?.confirm(template);
  }

  /** The server answered a client of a protocol without states: confirmed, and its template assured. */
  answered(slot: number): void {
    this.confirm(slot);
    const template = this.template(slot);
    if (template !== NO_SLOT) this.#templates?.assure(template);
  }

  /** Takes it for half-open again, as the newest. */
  doubt(slot: number): void {
    const halfOpen = this.#halfOpen;
    if (halfOpen === undefined) return;
    halfOpen.remove(slot);
    halfOpen.add(slot);
    if (halfOpen.size > this.#halfOpenLimit) this.#evict();
  }

  isHalfOpen(slot: number): boolean {
    return this.#halfOpen?.has(slot) === true;
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

  /** Three 32-bit words for the engine's own use, 0 at first. */
  user(slot: number, word: 0 | 1 | 2): number {
    return this.#word(slot, R.user + word);
  }

  setUser(slot: number, word: 0 | 1 | 2, value: number): void {
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
    if (!this.isHalfOpen(slot)) this.#templates?.confirm(template);
    if (this.#isEstablished(slot)) this.#templates?.assure(template);
  }

  /**
   * The state after a packet: adapts the pool's counts and restarts the timer with the state's timeout.
   * @param answered false where the server's packets are seen, too, and there was none: what the client says confirms nothing then
   */
  setState(slot: number, state: number, now: number, answered = true): void {
    const word = this.#word(slot, 0);
    const protocol = word & 0xff;
    const active = protocol === TCP && isActive(state) && !this.#countsTemplates;
    const kept = word & ~((STATE_MASK << STATE_SHIFT) | COUNTED_ACTIVE);
    this.#setWord(slot, 0, kept | (state << STATE_SHIFT) | (active ? COUNTED_ACTIVE : 0));
    if (active !== ((word & COUNTED_ACTIVE) !== 0)) {
      this.#pool.move(this.destination(slot), active ? 'active' : 'inactive');
    }
    this.#timers.restart(slot, now + this.#timeouts.of(protocol, state) * 1000);
    if (!this.#isEstablished(slot)) return;
    if (protocol === TCP && answered) this.confirm(slot);
    const template = this.template(slot);
    if (template !== NO_SLOT) this.#templates?.assure(template);
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
    this.#halfOpen?.remove(slot);
    this.#count(slot, -1);
    this.#releaseTemplate(slot);
    this.#chains.remove(slot);
    this.#replies?.remove(slot);
    this.#setWord(slot, 0, 0);
    this.#setWord(slot, R.destination, this.#free);
    this.#free = slot;
    this.#size--;
  }

  /** What its timer does when it runs out, at once: IPVS's "expire now". */
  expire(slot: number): void {
    this.remove(slot);
  }

  /**
   * Lets time pass; to be called about once a second. For every connection whose timer ran out `expired` says for how
   * many more seconds it lives on: 0 and it is removed. It may insert connections and remove others, but not its own.
   */
  advance(now: number, expired: (slot: number) => number): void {
    this.#timers.advance(now, (slot) => {
      // while it is being asked about, it must not make room for one that is inserted meanwhile
      const halfOpen = this.#halfOpen?.remove(slot) === true;
      const seconds = expired(slot);
      if (seconds <= 0) {
        this.remove(slot);
        return;
      }
      // from when it ran out, not from when that was noticed
      this.#timers.restart(slot, Math.max(this.#timers.deadline(slot) + seconds * 1000, now + 1));
      if (halfOpen) this.doubt(slot);
    });
  }

  /** Gives it another key, which is not in the table either, or which nobody looks for. */
  rekey(slot: number, key: ConnectionKey, port = this.#usualPort(key, this.destination(slot))): void {
    this.#chains.remove(slot);
    this.#replies?.remove(slot);
    const more = this.#word(slot, 0) & ~KEY_MASK;
    this.#records.set(key.words, slot << RECORD_SHIFT);
    this.#setWord(slot, 0, more | this.#word(slot, 0));
    this.#setWord(slot, R.port, port);
    this.#chains.add(slot, hashKey(key.words, this.#seed));
    this.#chainReply(slot);
  }

  /** Reads its key. */
  key(slot: number, into: ConnectionKey): void {
    const at = slot << RECORD_SHIFT;
    for (let word = 0; word < KEY_WORDS; word++) into.words[word] = this.#records[at + word] as number;
    into.words[0] = this.#word(slot, 0) & KEY_MASK;
  }

  /** The first slot from this one on that a connection is in, or NO_SLOT. */
  next(slot: number): number {
    const end = this.#fresh;
    for (let at = slot; at < end; at++) if (this.#word(at, 0) !== 0) return at;
    return NO_SLOT;
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

  /** A destination of another family, at a tunnel's end, answers past the director. */
  #matchesReply(slot: number, key: Int32Array): boolean {
    const at = slot << RECORD_SHIFT;
    const records = this.#records;
    const pool = this.#pool;
    const destination = this.destination(slot);
    const word = key[0] as number;
    const family = word >> 8;
    if (((records[at] as number) & KEY_MASK) !== word || pool.family(destination) !== family) return false;
    if (key[R.ports] !== this.#replyPorts(slot)) return false;
    for (let i = 0; i < (family === 4 ? 1 : 4); i++) {
      if (key[R.client + i] !== records[at + R.client + i]) return false;
      if (key[R.virtual + i] !== pool.addressWord(destination, i)) return false;
    }
    return true;
  }

  #replyPorts(slot: number): number {
    return (this.#word(slot, R.ports) & ~0xffff) | this.destinationPort(slot);
  }

  #usualPort(key: ConnectionKey, destination: number): number {
    const port = this.#pool.port(destination);
    return port === 0 ? key.virtualPort : port;
  }

  /** Without states, a connection counts as established once the server {@link answered}; one way, nobody can tell. */
  #isEstablished(slot: number): boolean {
    const oneWay = this.#replies === undefined;
    return this.protocol(slot) === TCP ? this.state(slot) === TcpState.established : oneWay;
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
      this.#free = this.destination(slot);
      return slot;
    }
    if (this.#fresh === this.capacity) this.#grow();
    return this.#fresh++;
  }

  /** Makes room for the new by removing the oldest half-open connection. @returns false when there is none */
  #evict(): boolean {
    if (this.#halfOpen === undefined || this.#halfOpen.size === 0) return false;
    const slot = this.#halfOpen.oldest;
    this.#evicted?.(slot);
    this.remove(slot);
    return true;
  }

  /** Doubles the capacity. Slots stay the same. */
  #grow(): void {
    const capacity = this.#capacity * 2;
    this.#capacity = capacity;
    const records = new Int32Array(capacity * RECORD_WORDS);
    records.set(this.#records);
    this.#records = records;
    this.#chains.grow();
    this.#replies?.grow();
    this.#timers.grow(capacity);
    this.#halfOpen?.grow(capacity);
  }

  #chainReply(slot: number): void {
    if (this.#replies === undefined) return;
    const key = this.#replyKey.words;
    this.key(slot, this.#replyKey);
    for (let i = 0; i < 4; i++) key[R.virtual + i] = this.#pool.addressWord(this.destination(slot), i);
    key[R.ports] = this.#replyPorts(slot);
    this.#replies.add(slot, hashKey(key, this.#seed));
  }

  #word(slot: number, word: number): number {
    return this.#records[(slot << RECORD_SHIFT) + word] as number;
  }

  #setWord(slot: number, word: number, value: number): void {
    this.#records[(slot << RECORD_SHIFT) + word] = value;
  }
}
