/**
 * When to check: every distinct check has a loop of its own, so that a server that hangs delays only itself. The first
 * check starts at once; the pause of `checkinterval` begins when a check ends. Only the first pause is shorter, by a part
 * that is each check's own, so that those that began together spread over the interval.
 */
import { isDeepStrictEqual } from 'node:util';
import type { CheckSettings } from '../config/model.ts';
import type { Clock, Timer } from '../util/clock.ts';
import type { Checker, CheckResult } from './check.ts';
import { CheckCancelled } from './check.ts';
import { Combined } from './combined.ts';
import { askInTime } from './deadline.ts';
import { Pacer } from './pacer.ts';

export interface ScheduleParts {
  readonly clock: Clock;
  readonly check: Checker;
  /** Called with every result, as soon as it is known. */
  deliver(question: string, result: CheckResult): void;
  /** By which part of it the first pause of a check is shortened: 0..1, without 1. */
  spread(question: string): number;
}

export interface ScheduledCheck {
  readonly settings: CheckSettings;
  /** Pause after a check, in seconds. */
  readonly interval: number;
}

export class Schedule {
  readonly #parts: ScheduleParts;
  readonly #pacer: Pacer;
  readonly #loops = new Map<string, CheckLoop>();

  constructor(parts: ScheduleParts) {
    this.#parts = parts;
    this.#pacer = new Pacer(parts.clock);
  }

  /** From now on exactly these, by {@link questionOf}. A check that did not change keeps its rhythm. */
  set(wanted: ReadonlyMap<string, ScheduledCheck>): void {
    for (const [question, loop] of this.#loops) {
      if (isDeepStrictEqual(wanted.get(question), loop.scheduled)) continue;
      void loop.stop();
      this.#loops.delete(question);
    }
    for (const [question, scheduled] of wanted) {
      if (this.#loops.has(question)) continue;
      const loop = new CheckLoop(this.#parts, this.#pacer, question, scheduled);
      this.#loops.set(question, loop);
      loop.start();
    }
  }

  /** Milliseconds until the check starts; 0 when it is under way, undefined when there is none. */
  nextIn(question: string): number | undefined {
    return this.#loops.get(question)?.nextIn();
  }

  /** No result is delivered after the call; resolves when the last running check has closed what it had open. */
  async stop(): Promise<void> {
    const loops = [...this.#loops.values()];
    this.#loops.clear();
    this.#pacer.stop();
    await Promise.all(loops.map((loop) => loop.stop()));
  }
}

class CheckLoop {
  readonly scheduled: ScheduledCheck;
  readonly #parts: ScheduleParts;
  readonly #pacer: Pacer;
  readonly #question: string;
  readonly #combined = new Combined();
  #pause: Timer | undefined;
  #nextAt = 0;
  #checks = 0;
  #abort: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(parts: ScheduleParts, pacer: Pacer, question: string, scheduled: ScheduledCheck) {
    this.#parts = parts;
    this.#pacer = pacer;
    this.#question = question;
    this.scheduled = scheduled;
  }

  start(): void {
    this.#pacer.run(() => {
      if (!this.#stopped) this.#running = this.#once();
    });
  }

  nextIn(): number {
    return Math.max(0, this.#nextAt - this.#parts.clock.now());
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#pause?.cancel();
    this.#abort?.abort(new CheckCancelled());
    return this.#running;
  }

  async #once(): Promise<void> {
    const { clock, check } = this.#parts;
    const asked = this.#combined.next(this.scheduled.settings);
    const abort = new AbortController();
    this.#abort = abort;
    const result = await askInTime(check, asked, clock, abort);
    this.#abort = undefined;
    if (this.#stopped) return;
    this.#combined.answered(asked, result.up);
    this.#rest();
    this.#parts.deliver(this.#question, result);
  }

  #rest(): void {
    const { clock } = this.#parts;
    const interval = this.scheduled.interval * 1000;
    const isFirst = this.#checks++ === 0;
    const pause = isFirst ? interval * (1 - this.#parts.spread(this.#question)) : interval;
    this.#nextAt = clock.now() + pause;
    this.#pause = clock.after(pause, () => {
      this.start();
    });
  }
}
