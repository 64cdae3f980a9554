/**
 * Timers of many slots: a hashed timing wheel (Varghese and Lauck) of one-second ticks. Hot path.
 *
 * Prolonging a timer, which every packet does, only writes its deadline; the slot stays in the bucket where it is and is
 * filed anew when that bucket's time comes. So a slot is always filed at its deadline or before, never behind it.
 * A timer never fires early; it fires up to a second late, plus the time between two calls of {@link advance}.
 */

/** Ticks of one turn, longer than the usual 900 s so that most timers are filed once; a power of two. */
const BUCKETS = 1024;
const MASK = BUCKETS - 1;
const NIL = -1;

/** Milliseconds of a tick. */
const TICK = 1000;

export class TimerWheel {
  /** First slot of each bucket, or NIL. */
  readonly #heads = new Int32Array(BUCKETS).fill(NIL);
  #next: Int32Array;
  /** The slot before this one in its bucket; the first slot holds ~bucket. */
  #previous: Int32Array;
  #deadlines: Float64Array;
  /** The last tick whose bucket was emptied. */
  #tick: number;

  constructor(slots: number, now: number) {
    this.#next = new Int32Array(slots);
    this.#previous = new Int32Array(slots);
    this.#deadlines = new Float64Array(slots);
    this.#tick = Math.floor(now / TICK);
  }

  /** Bytes that it takes. */
  get bytes(): number {
    return (
      this.#heads.byteLength + this.#next.byteLength + this.#previous.byteLength + this.#deadlines.byteLength
    );
  }

  grow(slots: number): void {
    this.#next = grown(this.#next, new Int32Array(slots));
    this.#previous = grown(this.#previous, new Int32Array(slots));
    this.#deadlines = grown(this.#deadlines, new Float64Array(slots));
  }

  /** When the timer of this slot fires: milliseconds. */
  deadline(slot: number): number {
    return this.#deadlines[slot] as number;
  }

  /** Starts a timer in a slot that has none. */
  start(slot: number, deadline: number): void {
    this.#deadlines[slot] = deadline;
    this.#file(slot);
  }

  /** Sets a running timer to another deadline. */
  restart(slot: number, deadline: number): void {
    const earlier = deadline < this.deadline(slot);
    this.#deadlines[slot] = deadline;
    if (!earlier) return;
    this.stop(slot);
    this.#file(slot);
  }

  stop(slot: number): void {
    const next = this.#next[slot] as number;
    const previous = this.#previous[slot] as number;
    if (previous < 0) this.#heads[~previous] = next;
    else this.#next[previous] = next;
    if (next !== NIL) this.#previous[next] = previous;
  }

  /**
   * Calls back for every timer whose deadline has come. The callback stops that timer or restarts it with a deadline
   * after `now`; it may start, restart and stop others.
   */
  advance(now: number, due: (slot: number) => void): void {
    const last = Math.floor(now / TICK);
    // after a long pause one turn meets every bucket
    for (this.#tick = Math.max(this.#tick, last - BUCKETS); this.#tick < last;) {
      this.#tick++;
      const bucket = this.#tick & MASK;
      for (;;) {
        const slot = this.#heads[bucket] as number;
        if (slot === NIL) break;
        if (this.deadline(slot) <= now) {
          due(slot);
        } else {
          this.stop(slot);
          this.#file(slot);
        }
      }
    }
  }

  /** Files under the tick by which the deadline has passed, or as far ahead as one turn reaches. */
  #file(slot: number): void {
    const wanted = Math.ceil(this.deadline(slot) / TICK);
    const tick = Math.min(Math.max(wanted, this.#tick + 1), this.#tick + BUCKETS - 1);
    const bucket = tick & MASK;
    const head = this.#heads[bucket] as number;
    this.#next[slot] = head;
    this.#previous[slot] = ~bucket;
    if (head !== NIL) this.#previous[head] = slot;
    this.#heads[bucket] = slot;
  }
}

function grown<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
