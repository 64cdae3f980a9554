/**
 * The daemon's side of an engine that forwards in a child process: the forwarder gets every verb, is asked for counters,
 * and is started again with the whole table when it dies.
 */
import type { Timeouts, VirtualService } from '../director/table.ts';
import type { Verb } from '../director/verbs.ts';
import type { ForwarderProcess } from '../platform/forwarder-process.ts';
import { startForwarder } from '../platform/forwarder-process.ts';
import type { FromForwarder, Request, ToForwarder } from './child-protocol.ts';
import type { Engine, EngineEvents, EngineReport, TakeConnections } from './engine.ts';
import { addCounters, zeroCounters } from './engine.ts';
import { unpackReport } from './packed-report.ts';

/** Milliseconds before a dead forwarder is started again: at once, then so long, doubled while it keeps dying. */
const FIRST_PAUSE = 0;
const SECOND_PAUSE = 100;
const LONGEST_PAUSE = 5000;
/** Milliseconds the forwarder may take to close its connections when it is stopped. */
const STOP_PATIENCE = 3000;
/** Milliseconds the forwarder may take to answer a question. */
const ANSWER_PATIENCE = 5000;

/** The table that a new forwarder starts from. */
export interface TableSource {
  services(): readonly VirtualService[];
  timeouts(): Timeouts;
}

export interface ChildEngineParts {
  readonly name: 'relay' | 'packet';
  /** The forwarding process's main module. */
  readonly module: URL;
  readonly events: EngineEvents;
  readonly source: TableSource;
  readonly refuses: Engine['refuses'];
  /** Variables that the forwarder has besides those of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The forwarder reads its messages through a mailbox. */
  readonly mailbox?: boolean;
}

export function createChildEngine(parts: ChildEngineParts): Engine {
  return new ChildEngine(parts);
}

interface Pending {
  readonly resolve: (answer: FromForwarder | undefined) => void;
}

class ChildEngine implements Engine {
  readonly name: 'relay' | 'packet';
  readonly refuses: Engine['refuses'];
  readonly #parts: ChildEngineParts;
  readonly #events: EngineEvents;
  readonly #pending = new Map<number, Pending>();
  /** Who waits until the forwarder can be asked, or never can be. */
  readonly #waiting: (() => void)[] = [];
  #forwarder: ForwarderProcess<ToForwarder, FromForwarder> | undefined;
  #ready = false;
  #wasReady = false;
  #batch: Verb[] = [];
  #nextId = 1;
  /** Traffic that forwarders reported which have died since; and with what the present one last reported. */
  #before = zeroCounters;
  #totals = zeroCounters;
  #stopping = false;
  #pause = FIRST_PAUSE;

  constructor(parts: ChildEngineParts) {
    this.name = parts.name;
    this.refuses = parts.refuses;
    this.#parts = parts;
    this.#events = parts.events;
  }

  start(): Promise<undefined> {
    return new Promise((resolve, reject) => {
      this.#launch(() => {
        resolve(undefined);
      }, reject);
    });
  }

  /** Verbs of one turn travel together: the forwarder never sees a table that the daemon meant to be momentary. */
  apply(verb: Verb): void {
    if (this.#batch.length === 0) setImmediate(this.#flush);
    this.#batch.push(verb);
    if (verb.verb === 'zero' && verb.service === undefined) this.#before = this.#totals = zeroCounters;
  }

  /** While the forwarder is away, verbs are in force only when it is back. */
  async settled(): Promise<void> {
    await this.#back();
    await this.#ask('settle');
  }

  async report(): Promise<EngineReport> {
    const answer = await this.#ask('report');
    if (answer?.type !== 'report') return { services: [], totals: this.#totals };
    const { services, totals } = unpackReport(answer.report);
    this.#totals = addCounters(this.#before, totals);
    return { services, totals: this.#totals };
  }

  /** The forwarder makes a part when it is asked for it, so that none waits anywhere. */
  async connections(take: TakeConnections): Promise<void> {
    for (let from: number | undefined = 0; from !== undefined;) {
      const answer: FromForwarder | undefined = await this.#ask('connections', from);
      if (answer?.type !== 'connections') return;
      await take(answer.connections);
      from = answer.next;
    }
  }

  async stop(): Promise<number> {
    this.#stopping = true;
    this.#wake();
    if (this.#forwarder === undefined) return 0;
    const forwarder = this.#forwarder;
    const patience = setTimeout(() => {
      this.#events.problem(`${this.#subject} did not stop in time and was killed`);
      forwarder.kill();
    }, STOP_PATIENCE);
    const answer = await this.#ask('stop');
    clearTimeout(patience);
    return answer?.type === 'stopped' ? answer.closed : 0;
  }

  /** What messages call it. */
  get #subject(): string {
    return `the ${this.name} forwarder`;
  }

  #launch(started: () => void, failed: (error: Error) => void): void {
    const { module, environment = {}, mailbox = false } = this.#parts;
    const forwarder = startForwarder<ToForwarder, FromForwarder>(module, { environment, mailbox });
    this.#forwarder = forwarder;
    let unable: string | undefined;
    forwarder.onMessage((message) => {
      if (message.type === 'ready') {
        this.#becameReady();
        started();
      } else if (message.type === 'unable') unable = message.message;
      else this.#take(message);
    });
    forwarder.onExit((how) => {
      this.#ready = false;
      this.#forwarder = undefined;
      this.#before = this.#totals;
      for (const { resolve } of this.#pending.values()) resolve(undefined);
      this.#pending.clear();
      if (this.#stopping) return;
      if (this.#wasReady) this.#restart(unable ?? how);
      else {
        this.#wake();
        failed(new Error(unable ?? `${this.#subject} could not start: ${how}`));
      }
    });
  }

  #restart(how: string): void {
    this.#events.problem(`${this.#subject} died (${how}); starting it again, its open connections are lost`);
    setTimeout(() => {
      if (this.#stopping) return;
      this.#launch(
        () => {
          this.#events.info(`${this.#subject} is back, with the whole table`);
        },
        () => undefined,
      );
    }, this.#pause);
    this.#pause = Math.min(Math.max(2 * this.#pause, SECOND_PAUSE), LONGEST_PAUSE);
  }

  #becameReady(): void {
    this.#ready = this.#wasReady = true;
    setTimeout(() => {
      if (this.#ready) this.#pause = FIRST_PAUSE;
    }, LONGEST_PAUSE).unref();
    this.#batch = [];
    this.#forwarder?.send({ type: 'verbs', verbs: replay(this.#parts.source) });
    this.#wake();
  }

  /** Resolves when the forwarder can be asked, and at the latest when nobody would wait for its answer any longer. */
  #back(): Promise<void> {
    if (this.#ready || this.#stopping) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ANSWER_PATIENCE);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** What is in the batch while there is no forwarder is in the table that the next one starts from. */
  readonly #flush = (): void => {
    const verbs = this.#batch;
    this.#batch = [];
    if (this.#ready && verbs.length > 0) this.#forwarder?.send({ type: 'verbs', verbs });
  };

  #take(message: Exclude<FromForwarder, { type: 'ready' | 'unable' }>): void {
    if (message.type === 'problem' || message.type === 'info') this.#events[message.type](message.message);
    else {
      this.#pending.get(message.id)?.resolve(message);
      this.#pending.delete(message.id);
    }
  }

  /** @returns undefined when the forwarder is away; rejects when it is there and does not answer */
  #ask(request: Request, from = 0): Promise<FromForwarder | undefined> {
    const forwarder = this.#forwarder;
    if (forwarder === undefined || !this.#ready) return Promise.resolve(undefined);
    this.#flush();
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new Error(`${this.#subject} has not answered for ${ANSWER_PATIENCE / 1000} s`));
      }, ANSWER_PATIENCE);
      const settle = (answer: FromForwarder | undefined): void => {
        clearTimeout(timer);
        resolve(answer);
      };
      this.#pending.set(id, { resolve: settle });
      forwarder.send({ type: 'request', id, request, from });
    });
  }
}

/** The verbs that build the present table; destinations oldest first, so that their order comes out as it is. */
export function replay(source: TableSource): Verb[] {
  const verbs: Verb[] = [{ verb: 'set-timeouts', timeouts: source.timeouts() }];
  for (const { id: service, settings, destinations } of source.services()) {
    verbs.push({ verb: 'add-service', service, settings });
    for (const { id: destination, ...destinationSettings } of destinations.toReversed()) {
      verbs.push({ verb: 'add-destination', service, destination, settings: destinationSettings });
    }
  }
  return verbs;
}
