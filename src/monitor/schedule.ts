/**
 * When to check: every distinct check has a loop of its own, so that a server that hangs delays only itself. The first
 * check starts at once; the pause of `checkinterval` begins when a check ends.
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
  deliver(checkId: string, result: CheckResult): void;
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

  /** From now on exactly these, by check id. A check that did not change keeps its rhythm. */
  set(wanted: ReadonlyMap<string, ScheduledCheck>): void {
    for (const [id, loop] of this.#loops) {
      if (isDeepStrictEqual(wanted.get(id), loop.scheduled)) continue;
      void loop.stop();
      this.#loops.delete(id);
    }
    for (const [id, scheduled] of wanted) {
      if (this.#loops.has(id)) continue;
      const loop = new CheckLoop(this.#parts, this.#pacer, scheduled);
      this.#loops.set(id, loop);
      loop.start();
    }
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
  readonly #combined = new Combined();
  #pause: Timer | undefined;
  #abort: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(parts: ScheduleParts, pacer: Pacer, scheduled: ScheduledCheck) {
    this.#parts = parts;
    this.#pacer = pacer;
    this.scheduled = scheduled;
  }

  start(): void {
    this.#pacer.run(() => {
      if (!this.#stopped) this.#running = this.#once();
    });
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
    this.#pause = clock.after(this.scheduled.interval * 1000, () => {
      this.start();
    });
    this.#parts.deliver(this.scheduled.settings.id, result);
  }
}
