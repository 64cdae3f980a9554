/**
 * Spreads a burst of starts over a few milliseconds, so that two thousand first checks do not open two thousand
 * sockets in one instant. It limits how many start, never how many run: a check that hangs holds up nobody.
 */
import type { Clock, Timer } from '../util/clock.ts';

const burst = 100;
const pauseMilliseconds = 10;

export class Pacer {
  readonly #clock: Clock;
  readonly #waiting: (() => void)[] = [];
  #credit = burst;
  #refill: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** At once while fewer than 100 started within the last 10 ms, else in order as soon as possible. */
  run(start: () => void): void {
    this.#waiting.push(start);
    this.#startWaiting();
  }

  stop(): void {
    this.#refill?.cancel();
    this.#refill = undefined;
    this.#waiting.length = 0;
  }

  #startWaiting(): void {
    for (const start of this.#waiting.splice(0, this.#credit)) {
      this.#credit -= 1;
      start();
    }
    if (this.#credit === burst || this.#refill !== undefined) return;
    this.#refill = this.#clock.after(pauseMilliseconds, () => {
      this.#refill = undefined;
      this.#credit = burst;
      this.#startWaiting();
    });
  }
}
