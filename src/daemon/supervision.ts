/**
 * What a daemon tells its service manager: when it is ready, reloads and stops, how its servers are, and, from its event
 * loop, that it is alive. Without a manager nothing happens.
 */
import type { ServiceHealth } from '../observe/health.ts';
import { healthSummary } from '../observe/health.ts';
import type { ServiceManager } from '../platform/systemd.ts';
import type { Clock, Timer } from '../util/clock.ts';

export interface SupervisionParts {
  readonly manager: ServiceManager | undefined;
  readonly clock: Clock;
  /** The monitor's knowledge; no services without one. */
  health(): readonly ServiceHealth[];
  /** CLOCK_MONOTONIC in microseconds, which need not be the clock's. */
  readonly monotonic: () => bigint;
}

/** Milliseconds between two looks at the servers for the status line. */
const statusInterval = 2000;

export class Supervision {
  readonly #parts: SupervisionParts;
  readonly #timers = new Map<() => void, Timer>();
  #told = '';
  #reloads = 0;
  #stopping = false;

  constructor(parts: SupervisionParts) {
    this.#parts = parts;
  }

  /** The daemon forwards. */
  ready(): void {
    const { manager } = this.#parts;
    if (manager === undefined) return;
    manager.notify('READY=1', `MAINPID=${process.pid}`, this.#newStatus() ?? this.#told);
    this.#every(statusInterval, () => {
      const status = this.#newStatus();
      if (status !== undefined) manager.notify(status);
    });
    // Half the time, as sd_watchdog_enabled(3) has it. A loop that hangs comes to no timer.
    if (manager.watchdog !== undefined) {
      this.#every(manager.watchdog / 2, () => {
        manager.notify('WATCHDOG=1');
      });
    }
  }

  /** Tells that a reload begins and, when it is done, that the daemon is ready again, with the old configuration or the new one. */
  async reloading(reload: Promise<void>): Promise<void> {
    const { manager, monotonic } = this.#parts;
    manager?.notify('RELOADING=1', `MONOTONIC_USEC=${monotonic()}`, 'STATUS=reloading');
    this.#told = 'STATUS=reloading';
    this.#reloads++;
    await reload;
    if (--this.#reloads === 0 && !this.#stopping) manager?.notify('READY=1', this.#newStatus() ?? this.#told);
  }

  stopping(): void {
    this.#parts.manager?.notify('STOPPING=1', 'STATUS=stopping');
    this.#stopping = true;
  }

  /** Nothing is told any more. */
  end(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#parts.manager?.close();
  }

  /** Undefined when it was told last, and while something else is to be seen. */
  #newStatus(): string | undefined {
    if (this.#reloads > 0 || this.#stopping) return undefined;
    const services = this.#parts.health();
    const status = `STATUS=${services.length === 0 ? 'no services are monitored' : healthSummary(services)}`;
    if (status === this.#told) return undefined;
    this.#told = status;
    return status;
  }

  #every(milliseconds: number, tell: () => void): void {
    const timer = this.#parts.clock.after(milliseconds, () => {
      tell();
      this.#every(milliseconds, tell);
    });
    this.#timers.set(tell, timer);
  }
}
