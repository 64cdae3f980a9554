/**
 * The relay engine as the daemon sees it: a forwarding process that gets every verb, is asked for counters, and is started
 * again with the whole table when it dies.
 */
import type { Timeouts, VirtualService } from '../../director/table.ts';
import type { Verb } from '../../director/verbs.ts';
import type { ForwarderProcess } from '../../platform/forwarder-process.ts';
import { startForwarder } from '../../platform/forwarder-process.ts';
import type { ConnectionEntry, Engine, EngineEvents, EngineReport } from '../engine.ts';
import { siblingModule } from './module-url.ts';
import type { FromForwarder, Request, ToForwarder } from './protocol.ts';
import { refusal } from './refusal.ts';

/** Milliseconds before a dead forwarder is started again; doubled while it keeps dying at once. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;
/** Milliseconds the forwarder may take to close its connections when it is stopped. */
const STOP_PATIENCE = 3000;
/** Milliseconds the forwarder may take to answer a question. */
const ANSWER_PATIENCE = 5000;

/** The table that a new forwarder starts from. */
export interface RelaySource {
  services(): readonly VirtualService[];
  timeouts(): Timeouts;
}

export function createRelay(events: EngineEvents, source: RelaySource): Engine {
  return new Relay(events, source);
}

interface Pending {
  readonly resolve: (answer: FromForwarder | undefined) => void;
}

class Relay implements Engine {
  readonly name = 'relay';
  readonly #events: EngineEvents;
  readonly #source: RelaySource;
  readonly #pending = new Map<number, Pending>();
  #forwarder: ForwarderProcess<ToForwarder, FromForwarder> | undefined;
  #ready = false;
  #wasReady = false;
  #batch: Verb[] = [];
  #nextId = 1;
  #stopping = false;
  #pause = FIRST_PAUSE;

  constructor(events: EngineEvents, source: RelaySource) {
    this.#events = events;
    this.#source = source;
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#launch(resolve, reject);
    });
  }

  /** Verbs of one turn travel together: the forwarder never sees a table that the daemon meant to be momentary. */
  apply(verb: Verb): void {
    if (this.#batch.length === 0) setImmediate(this.#flush);
    this.#batch.push(verb);
  }

  refuses = refusal;

  async settled(): Promise<void> {
    await this.#ask('settle');
  }

  async report(): Promise<EngineReport> {
    const answer = await this.#ask('report');
    return answer?.type === 'report' ? answer.report : { services: [] };
  }

  async connections(): Promise<readonly ConnectionEntry[]> {
    const answer = await this.#ask('connections');
    return answer?.type === 'connections' ? answer.connections : [];
  }

  async stop(): Promise<number> {
    this.#stopping = true;
    if (this.#forwarder === undefined) return 0;
    const forwarder = this.#forwarder;
    const patience = setTimeout(() => {
      this.#events.problem('the relay forwarder did not stop in time and was killed');
      forwarder.kill();
    }, STOP_PATIENCE);
    const answer = await this.#ask('stop');
    clearTimeout(patience);
    return answer?.type === 'stopped' ? answer.closed : 0;
  }

  #launch(started: () => void, failed: (error: Error) => void): void {
    const forwarder = startForwarder<ToForwarder, FromForwarder>(siblingModule(import.meta.url, 'forwarder'));
    this.#forwarder = forwarder;
    forwarder.onMessage((message) => {
      if (message.type === 'ready') {
        this.#becameReady();
        started();
      } else this.#take(message);
    });
    forwarder.onExit((how) => {
      this.#ready = false;
      this.#forwarder = undefined;
      for (const { resolve } of this.#pending.values()) resolve(undefined);
      this.#pending.clear();
      if (this.#stopping) return;
      if (this.#wasReady) this.#restart(how);
      else failed(new Error(`the relay forwarder could not start: ${how}`));
    });
  }

  #restart(how: string): void {
    this.#events.problem(
      `the relay forwarder died (${how}); starting it again, its open connections are lost`,
    );
    setTimeout(() => {
      if (this.#stopping) return;
      this.#launch(
        () => {
          this.#events.info('the relay forwarder is back, with the whole table');
        },
        () => undefined,
      );
    }, this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }

  #becameReady(): void {
    this.#ready = this.#wasReady = true;
    setTimeout(() => {
      if (this.#ready) this.#pause = FIRST_PAUSE;
    }, LONGEST_PAUSE).unref();
    this.#batch = [];
    this.#forwarder?.send({ type: 'verbs', verbs: replay(this.#source) });
  }

  /** What is in the batch while there is no forwarder is in the table that the next one starts from. */
  readonly #flush = (): void => {
    const verbs = this.#batch;
    this.#batch = [];
    if (this.#ready && verbs.length > 0) this.#forwarder?.send({ type: 'verbs', verbs });
  };

  #take(message: Exclude<FromForwarder, { type: 'ready' }>): void {
    if (message.type === 'problem' || message.type === 'info') this.#events[message.type](message.message);
    else {
      this.#pending.get(message.id)?.resolve(message);
      this.#pending.delete(message.id);
    }
  }

  /** @returns undefined when the forwarder is away; rejects when it is there and does not answer */
  #ask(request: Request): Promise<FromForwarder | undefined> {
    const forwarder = this.#forwarder;
    if (forwarder === undefined || !this.#ready) return Promise.resolve(undefined);
    this.#flush();
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new Error(`the relay forwarder has not answered for ${ANSWER_PATIENCE / 1000} s`));
      }, ANSWER_PATIENCE);
      const settle = (answer: FromForwarder | undefined): void => {
        clearTimeout(timer);
        resolve(answer);
      };
      this.#pending.set(id, { resolve: settle });
      forwarder.send({ type: 'request', id, request });
    });
  }
}

/** The verbs that build the present table; destinations oldest first, so that their order comes out as it is. */
function replay(source: RelaySource): Verb[] {
  const verbs: Verb[] = [{ verb: 'set-timeouts', timeouts: source.timeouts() }];
  for (const { id: service, settings, destinations } of source.services()) {
    verbs.push({ verb: 'add-service', service, settings });
    for (const { id: destination, ...destinationSettings } of destinations.toReversed()) {
      verbs.push({ verb: 'add-destination', service, destination, settings: destinationSettings });
    }
  }
  return verbs;
}
