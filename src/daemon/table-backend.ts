/**
 * What the control socket can ask of a running daemon: the director's verbs, and listings that join the director's
 * table with the engine's counters and their rates.
 */
import { applyAll } from '../control/apply-all.ts';
import type { ControlBackend, Health, Refusal } from '../control/protocol.ts';
import type { Director } from '../director/director.ts';
import type { ServiceId, SyncDaemon, Timeouts } from '../director/table.ts';
import type { Verb } from '../director/verbs.ts';
import type { Engine, EngineReport, TableFill, TakeConnections } from '../engines/engine.ts';
import type { ServiceHealth } from '../observe/health.ts';
import type { ServiceListing } from '../observe/listing.ts';
import { listServices } from '../observe/listing.ts';
import { RateEstimator, sampleInterval } from '../observe/rates.ts';
import type { Statistics } from '../observe/statistics.ts';
import type { Clock, Timer } from '../util/clock.ts';

export interface TableBackendParts {
  readonly director: Director;
  readonly engine: Engine;
  readonly clock: Clock;
  problem(message: string): void;
  /** What the monitor knows; nothing without one. */
  health(): readonly ServiceHealth[];
}

export class TableBackend implements ControlBackend {
  readonly #parts: TableBackendParts;
  readonly #rates = new RateEstimator();
  #timer: Timer | undefined;
  #sampling: Promise<void> = Promise.resolve();
  #failing = false;
  /** How often counters were zeroed. */
  #zeroings = 0;

  constructor(parts: TableBackendParts) {
    this.#parts = parts;
  }

  /** Begins to estimate rates. */
  start(): void {
    this.#timer = this.#parts.clock.after(sampleInterval, () => {
      this.#sampling = this.#sample();
    });
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#sampling;
    this.#timer?.cancel();
  }

  apply(verb: Verb): void {
    this.#parts.director.apply(verb, 'control');
    if (verb.verb !== 'zero') return;
    this.#zeroings++;
    this.#rates.zero(verb.service);
  }

  applyAll(verbs: readonly Verb[]): readonly Refusal[] {
    return applyAll(verbs, (verb) => {
      this.apply(verb);
    });
  }

  /** An engine that does not answer has the verbs all the same; they are in force when it is back. */
  async settled(): Promise<void> {
    try {
      await this.#parts.engine.settled();
    } catch (error) {
      this.#parts.problem((error as Error).message);
    }
  }

  async list(service?: ServiceId): Promise<readonly ServiceListing[]> {
    const { director, engine } = this.#parts;
    const report = await engine.report();
    const found = service === undefined ? director.services() : [director.find(service)];
    return listServices(
      found.filter((each) => each !== undefined),
      report,
      this.#rates,
    );
  }

  connections(take: TakeConnections): Promise<void> {
    return this.#parts.engine.connections(take);
  }

  tables(): readonly TableFill[] {
    return this.#parts.engine.tables?.() ?? [];
  }

  async statistics(): Promise<Statistics> {
    const { totals } = await this.#parts.engine.report();
    return { totals, rates: this.#rates.totals() };
  }

  health(): Health {
    return { pid: process.pid, services: this.#parts.health() };
  }

  timeouts(): Timeouts {
    return this.#parts.director.timeouts();
  }

  syncDaemons(): readonly SyncDaemon[] {
    return this.#parts.director.syncDaemons();
  }

  async #sample(): Promise<void> {
    try {
      this.#rates.sample(await this.#report(), this.#parts.clock.now());
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#parts.problem(`the engine does not report: ${(error as Error).message}`);
      this.#failing = true;
    }
    this.start();
  }

  /** One from before counters were zeroed would be taken for what was counted since. */
  async #report(): Promise<EngineReport> {
    const zeroings = this.#zeroings;
    const report = await this.#parts.engine.report();
    return zeroings === this.#zeroings ? report : this.#report();
  }
}
