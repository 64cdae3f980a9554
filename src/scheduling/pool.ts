/**
 * The destinations of all virtual services as schedulers see them: weights, connection counts and the kernel's list
 * order, in one flat array of 32-bit words. Flat, because then several forwarding threads can share it
 * (SharedArrayBuffer) and still choose in exactly the order of a single kernel; whoever shares it holds
 * {@link Pool.lock} around `pick` and around every change of the table. Counts alone are changed without the lock.
 *
 * ```
 *   word 0         lock
 *   word 1         count of changes: tells a thread that something it derived from the table is stale
 *   services       SERVICE_WORDS each:     head, count, scheduler, flags, revision, spare x3, scheduler's own state x8
 *   destinations   DESTINATION_WORDS each: next, service, weight, last weight, active, inactive, persistent, flags,
 *                                          upper, lower, port | family << 16, note, address x4
 * ```
 * Hot path: nothing here allocates except the methods marked "table change".
 */
import type { Address } from '../util/ip.ts';
import { addressBytes, familyOf, ipv4Word } from '../util/ip.ts';

/** No destination, no service. */
export const NONE = -1;

const HEADER_WORDS = 16;
const SERVICE_WORDS = 16;
const DESTINATION_WORDS = 16;

/** Offsets of a service's words. */
const S = { head: 0, count: 1, scheduler: 2, flags: 3, revision: 4, state: 8 } as const;

/** Offsets of a destination's words. */
const D = {
  next: 0,
  service: 1,
  weight: 2,
  lastWeight: 3,
  active: 4,
  inactive: 5,
  persistent: 6,
  flags: 7,
  upper: 8,
  lower: 9,
  port: 10,
  note: 11,
  address: 12,
} as const;

const USED = 1;
/** Linked into its service; a deleted destination stays in use, unlinked, while connections refer to it. */
const AVAILABLE = 2;
const OVERLOADED = 4;
/** The engine cannot forward to it (gate on relay): it is listed but never picked. */
const BARRED = 8;

export interface PoolSize {
  readonly services: number;
  readonly destinations: number;
}

export class Pool {
  readonly #words: Int32Array;
  readonly #size: PoolSize;
  readonly #firstDestination: number;
  #nextService = 0;
  #nextDestination = 0;

  constructor(buffer: ArrayBuffer | SharedArrayBuffer, size: PoolSize) {
    this.#words = new Int32Array(buffer);
    this.#size = size;
    this.#firstDestination = HEADER_WORDS + size.services * SERVICE_WORDS;
  }

  /** Bytes of a buffer for so many services and destinations. Untouched pages cost no memory. */
  static bytes(size: PoolSize): number {
    return 4 * (HEADER_WORDS + size.services * SERVICE_WORDS + size.destinations * DESTINATION_WORDS);
  }

  /** A pool of its own, for one thread. */
  static create(size: PoolSize = { services: 1024, destinations: 8192 }): Pool {
    return new Pool(new ArrayBuffer(Pool.bytes(size)), size);
  }

  lock(): void {
    while (Atomics.compareExchange(this.#words, 0, 0, 1) !== 0) Atomics.wait(this.#words, 0, 1, 1);
  }

  unlock(): void {
    Atomics.store(this.#words, 0, 0);
    Atomics.notify(this.#words, 0, 1);
  }

  // ---- what schedulers read and write

  /** First destination in kernel order (the one added last), or NONE. */
  head(service: number): number {
    return this.#service(service, S.head) - 1;
  }

  /** The destination after this one in kernel order, or NONE. */
  next(destination: number): number {
    return this.#destination(destination, D.next) - 1;
  }

  count(service: number): number {
    return this.#service(service, S.count);
  }

  weight(destination: number): number {
    return this.#destination(destination, D.weight);
  }

  /** The last weight that was not 0 (mh keeps its table while a server is quiescent). */
  lastWeight(destination: number): number {
    return this.#destination(destination, D.lastWeight);
  }

  active(destination: number): number {
    return this.#destination(destination, D.active);
  }

  inactive(destination: number): number {
    return this.#destination(destination, D.inactive);
  }

  persistent(destination: number): number {
    return this.#destination(destination, D.persistent);
  }

  port(destination: number): number {
    return this.#destination(destination, D.port) & 0xffff;
  }

  family(destination: number): 4 | 6 {
    return this.#destination(destination, D.port) >> 16 === 6 ? 6 : 4;
  }

  /** Word 0..3 of the address, host order; IPv4 is word 0. */
  addressWord(destination: number, word: number): number {
    return this.#destination(destination, D.address + word);
  }

  /** Neither overloaded nor beyond the engine's ability. Weight is the scheduler's own business. */
  usable(destination: number): boolean {
    return (this.#destination(destination, D.flags) & (OVERLOADED | BARRED)) === 0;
  }

  /** The engine cannot forward to it at all. */
  barred(destination: number): boolean {
    return (this.#destination(destination, D.flags) & BARRED) !== 0;
  }

  /** Scheduler flags of the service (`ServiceSettings.schedulerFlags`). */
  flags(service: number): number {
    return this.#service(service, S.flags);
  }

  /** Changes with every table change of the service: key for tables that a scheduler derives from it. */
  revision(service: number): number {
    return this.#service(service, S.revision);
  }

  /** Word 0..7 of the scheduler's own state, 0 when a scheduler is attached. */
  state(service: number, word: number): number {
    return this.#service(service, S.state + word);
  }

  setState(service: number, word: number, value: number): void {
    this.#words[this.#serviceAt(service) + S.state + word] = value;
  }

  /** A word that the scheduler keeps for the destination: 0 at first, and kept by one that is deleted and revived. */
  note(destination: number): number {
    return this.#destination(destination, D.note);
  }

  setNote(destination: number, value: number): void {
    this.#words[this.#destinationAt(destination) + D.note] = value;
  }

  /** Index of the service's scheduler in the list that its owner keeps. */
  scheduler(service: number): number {
    return this.#service(service, S.scheduler);
  }

  serviceOf(destination: number): number {
    return this.#destination(destination, D.service);
  }

  available(destination: number): boolean {
    return (this.#destination(destination, D.flags) & AVAILABLE) !== 0;
  }

  // ---- connection counts (any thread, no lock)

  addActive(destination: number, change: 1 | -1): void {
    Atomics.add(this.#words, this.#destinationAt(destination) + D.active, change);
    this.#judgeOverload(destination, change);
  }

  addInactive(destination: number, change: 1 | -1): void {
    Atomics.add(this.#words, this.#destinationAt(destination) + D.inactive, change);
    this.#judgeOverload(destination, change);
  }

  /** A connection that goes from active to inactive or back: the sum, and so the overload flag, stays. */
  move(destination: number, to: 'active' | 'inactive'): void {
    const change = to === 'active' ? 1 : -1;
    Atomics.add(this.#words, this.#destinationAt(destination) + D.active, change);
    Atomics.add(this.#words, this.#destinationAt(destination) + D.inactive, -change);
  }

  addPersistent(destination: number, change: 1 | -1): void {
    Atomics.add(this.#words, this.#destinationAt(destination) + D.persistent, change);
  }

  // ---- table changes (owner of the table only, under the lock when shared)

  /** Table change. @returns the service's slot, or NONE when the pool is full. */
  addService(scheduler: number, flags: number): number {
    for (let tried = 0; tried < this.#size.services; tried++) {
      const service = (this.#nextService + tried) % this.#size.services;
      const at = this.#serviceAt(service);
      if (this.#words[at + S.scheduler] !== 0) continue;
      // the revision goes on counting, or a thread would take an earlier service's derived tables for this one's
      const revision = this.revision(service);
      this.#words.fill(0, at, at + SERVICE_WORDS);
      this.#words[at + S.revision] = revision;
      this.#words[at + S.scheduler] = scheduler;
      this.#words[at + S.flags] = flags;
      this.#nextService = service + 1;
      this.#touch(service);
      return service;
    }
    return NONE;
  }

  /** Table change. Scheduler indexes count from 1; a change of scheduler clears the old one's state. */
  editService(service: number, scheduler: number, flags: number): void {
    const at = this.#serviceAt(service);
    if (this.#words[at + S.scheduler] !== scheduler) this.#words.fill(0, at + S.state, at + SERVICE_WORDS);
    this.#words[at + S.scheduler] = scheduler;
    this.#words[at + S.flags] = flags;
    this.#touch(service);
  }

  /** Table change. Its destinations must have been unlinked. */
  removeService(service: number): void {
    this.#words[this.#serviceAt(service) + S.scheduler] = 0;
  }

  /** Table change: links a new destination at the head. @returns its slot, or NONE when the pool is full. */
  addDestination(service: number, address: Address, port: number): number {
    for (let tried = 0; tried < this.#size.destinations; tried++) {
      const destination = (this.#nextDestination + tried) % this.#size.destinations;
      if (!this.#reusable(destination)) continue;
      this.#nextDestination = destination + 1;
      const at = this.#destinationAt(destination);
      this.#words.fill(0, at, at + DESTINATION_WORDS);
      this.#setAddress(at, address, port);
      this.link(service, destination);
      return destination;
    }
    return NONE;
  }

  #setAddress(at: number, address: Address, port: number): void {
    const isIpv4 = familyOf(address) === 'inet';
    this.#words[at + D.port] = port | ((isIpv4 ? 4 : 6) << 16);
    if (isIpv4) {
      this.#words[at + D.address] = ipv4Word(address);
      return;
    }
    const bytes = addressBytes(address);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let word = 0; word < 4; word++) this.#words[at + D.address + word] = view.getInt32(word * 4);
  }

  /** Table change: (re)links a destination at the head of its service, as the kernel revives one from its trash. */
  link(service: number, destination: number): void {
    const at = this.#destinationAt(destination);
    if (this.#words[at + D.service] !== service) this.#words[at + D.note] = 0;
    this.#words[at + D.service] = service;
    // as in the kernel: mh does not know what it weighed before it was deleted
    this.#words[at + D.lastWeight] = 0;
    // an overloaded one comes back overloaded
    this.#words[at + D.flags] = ((this.#words[at + D.flags] ?? 0) & OVERLOADED) | USED | AVAILABLE;
    this.#words[at + D.next] = this.head(service) + 1;
    this.#words[this.#serviceAt(service) + S.head] = destination + 1;
    this.#words[this.#serviceAt(service) + S.count] = this.count(service) + 1;
    this.#touch(service);
  }

  /** Table change: takes it out of its service. The slot is free once no connection refers to it any more. */
  unlink(destination: number): void {
    const service = this.serviceOf(destination);
    const after = this.next(destination) + 1;
    const before = this.previous(destination);
    if (before === NONE) this.#words[this.#serviceAt(service) + S.head] = after;
    else this.#words[this.#destinationAt(before) + D.next] = after;
    this.#setFlag(destination, AVAILABLE, false);
    this.#words[this.#serviceAt(service) + S.count] = this.count(service) - 1;
    this.#touch(service);
  }

  /** Table change. Scheduler notification is the caller's. */
  setDestination(
    destination: number,
    settings: { weight: number; upper: number; lower: number; barred: boolean },
  ): void {
    const at = this.#destinationAt(destination);
    this.#words[at + D.weight] = settings.weight;
    if (settings.weight > 0) this.#words[at + D.lastWeight] = settings.weight;
    const raised = settings.upper === 0 || settings.upper > (this.#words[at + D.upper] ?? 0);
    this.#words[at + D.upper] = settings.upper;
    this.#words[at + D.lower] = settings.lower;
    if (raised) this.#setFlag(destination, OVERLOADED, false);
    this.#setFlag(destination, BARRED, settings.barred);
    this.#touch(this.serviceOf(destination));
  }

  /**
   * Table change: puts in order what a process has left that died while it changed the table. Nobody else may be changing it.
   * What schedulers remember and connections count stays as it is.
   */
  mend(): void {
    this.unlock();
    const linked = new Set<number>();
    for (let service = 0; service < this.#size.services; service++) {
      if (this.scheduler(service) === 0) continue;
      let count = 0;
      for (let d = this.head(service); d !== NONE && !linked.has(d); d = this.next(d), count++) linked.add(d);
      this.#words[this.#serviceAt(service) + S.count] = count;
    }
    for (let destination = 0; destination < this.#size.destinations; destination++)
      if (this.available(destination) && !linked.has(destination))
        this.#setFlag(destination, AVAILABLE, false);
  }

  /** Whether a service has this slot. */
  isService(service: number): boolean {
    return this.scheduler(service) !== 0;
  }

  /** Whether a destination, deleted or not, has this slot: it is free when not even a connection refers to it. */
  isDestination(destination: number): boolean {
    return !this.#reusable(destination);
  }

  thresholds(destination: number): { readonly upper: number; readonly lower: number } {
    return {
      upper: this.#destination(destination, D.upper) >>> 0,
      lower: this.#destination(destination, D.lower) >>> 0,
    };
  }

  /** The destination before this one in kernel order, or NONE. */
  previous(destination: number): number {
    let before = NONE;
    for (let d = this.head(this.serviceOf(destination)); d !== NONE && d !== destination; d = this.next(d))
      before = d;
    return before;
  }

  /** Whether a connection or template still refers to it. */
  referenced(destination: number): boolean {
    return this.active(destination) + this.inactive(destination) + this.persistent(destination) > 0;
  }

  /** IPVS thresholds: flagged at `upper` connections, cleared below `lower` (or below 3/4 of upper without one). */
  #judgeOverload(destination: number, change: 1 | -1): void {
    const at = this.#destinationAt(destination);
    const upper = this.#words[at + D.upper] ?? 0;
    if (upper === 0) return;
    const lower = this.#words[at + D.lower] ?? 0;
    const total = this.active(destination) + this.inactive(destination);
    if (change === 1 && total >= upper) this.#setFlag(destination, OVERLOADED, true);
    else if (change === -1 && (lower > 0 ? total < lower : total * 4 < upper * 3)) {
      this.#setFlag(destination, OVERLOADED, false);
    }
  }

  #setFlag(destination: number, flag: number, on: boolean): void {
    const at = this.#destinationAt(destination) + D.flags;
    if (on) Atomics.or(this.#words, at, flag);
    else Atomics.and(this.#words, at, ~flag);
  }

  #touch(service: number): void {
    const at = this.#serviceAt(service) + S.revision;
    this.#words[at] = ((this.#words[at] ?? 0) + 1) | 0;
    Atomics.add(this.#words, 1, 1);
  }

  #reusable(destination: number): boolean {
    const flags = this.#destination(destination, D.flags);
    return (flags & USED) === 0 || ((flags & AVAILABLE) === 0 && !this.referenced(destination));
  }

  #serviceAt(service: number): number {
    return HEADER_WORDS + service * SERVICE_WORDS;
  }

  #destinationAt(destination: number): number {
    return this.#firstDestination + destination * DESTINATION_WORDS;
  }

  #service(service: number, word: number): number {
    return this.#words[HEADER_WORDS + service * SERVICE_WORDS + word] as number;
  }

  #destination(destination: number, word: number): number {
    return this.#words[this.#firstDestination + destination * DESTINATION_WORDS + word] as number;
  }
}
