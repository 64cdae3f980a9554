/** What `--engine auto` runs: the engine that is best here, or another in its place when that one cannot start. */
import type { DestinationSettings, ServiceId, ServiceSettings } from '../director/table.ts';
import type { Verb } from '../director/verbs.ts';
import type {
  AdoptedTable,
  Engine,
  EngineEvents,
  EngineName,
  EngineReport,
  TableFill,
  TakeConnections,
} from '../engines/engine.ts';

export class FirstThatStarts implements Engine {
  #engine: Engine;
  readonly #instead: Engine;
  readonly #events: EngineEvents;

  constructor(best: Engine, instead: Engine, events: EngineEvents) {
    this.#engine = best;
    this.#instead = instead;
    this.#events = events;
  }

  get name(): EngineName {
    return this.#engine.name;
  }

  async start(): Promise<AdoptedTable | undefined> {
    const best = this.#engine;
    try {
      return await best.start();
    } catch (error) {
      const reason = (error as Error).message;
      this.#events.info(`engine ${this.#instead.name} instead of ${best.name}: ${reason}`);
      await best.stop();
      this.#engine = this.#instead;
      return await this.#engine.start();
    }
  }

  apply(verb: Verb): void {
    this.#engine.apply(verb);
  }

  refuses(
    service: ServiceId,
    settings: ServiceSettings,
    destination?: DestinationSettings,
  ): string | undefined {
    return this.#engine.refuses(service, settings, destination);
  }

  settled(): Promise<void> {
    return this.#engine.settled();
  }

  report(): Promise<EngineReport> {
    return this.#engine.report();
  }

  connections(take: TakeConnections): Promise<void> {
    return this.#engine.connections(take);
  }

  tables(): readonly TableFill[] {
    return this.#engine.tables?.() ?? [];
  }

  stop(): Promise<number> {
    return this.#engine.stop();
  }
}
