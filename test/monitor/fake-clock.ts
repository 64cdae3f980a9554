/** A clock that moves only when told to, and lets promises settle after each timer that fires. */
import type { Clock, Timer } from '../../src/util/clock.ts';

interface Pending {
  readonly at: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  #now = 0;
  readonly #pending = new Set<Pending>();

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, callback: () => void): Timer {
    const pending = { at: this.#now + milliseconds, callback };
    this.#pending.add(pending);
    return { cancel: () => void this.#pending.delete(pending) };
  }

  get timers(): number {
    return this.#pending.size;
  }

  /** Everything due within that time happens in order; what is due at the same instant happens together. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await settle();
    for (let at = this.#nextAt(); at <= end; at = this.#nextAt()) {
      this.#now = at;
      for (const pending of [...this.#pending]) {
        if (pending.at > at || !this.#pending.delete(pending)) continue;
        pending.callback();
      }
      await settle();
    }
    this.#now = end;
  }

  #nextAt(): number {
    let next = Infinity;
    for (const { at } of this.#pending) next = Math.min(next, at);
    return next;
  }
}

/** Lets every promise that can settle without I/O settle. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
