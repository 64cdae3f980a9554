/**
 * The relay's forwarding process: keeps the table that its threads share, starts one thread a core, and answers the
 * daemon. It never touches a byte of traffic itself. Ends when the daemon does.
 */
import { availableParallelism, networkInterfaces } from 'node:os';
import { Worker } from 'node:worker_threads';
import { serviceKey } from '../../director/table.ts';
import * as c from '../../platform/libc.ts';
import type { PoolSize } from '../../scheduling/pool.ts';
import { Pool } from '../../scheduling/pool.ts';
import { canonicalAddress, familyOf } from '../../util/ip.ts';
import type { FromForwarder, Request, ToForwarder } from '../child-protocol.ts';
import { CounterReport } from '../counter-report.ts';
import type { ConnectionEntry } from '../engine.ts';
import { siblingModule } from '../../util/sibling-module.ts';
import { PoolTable } from '../pool-table.ts';
import { Tallies } from '../tallies.ts';
import { openService } from './listen.ts';
import { Listeners } from './listeners.ts';
import type { FromThread, ListenerSpec, ThreadData, ToThread } from './protocol.ts';
import { refusal } from './refusal.ts';

const size: PoolSize = { services: 16384, destinations: 65536 };
const wantedOpenFiles = 1_048_576;
const mostThreads = 16;
/** Milliseconds over which failed connects are gathered into one log line. */
const failureWindow = 5000;
/** Milliseconds between two tries to open a socket that could not be had. */
const retryPause = 1000;

interface Thread {
  readonly worker: Worker;
  readonly wake: number;
}

class Forwarder {
  readonly #buffer = new SharedArrayBuffer(Pool.bytes(size));
  readonly #pool = new Pool(this.#buffer, size);
  readonly #threads: Thread[] = [];
  readonly #tallies: Tallies[] = [];
  readonly #table: PoolTable;
  readonly #listeners: Listeners;
  readonly #counters: CounterReport;
  /** Answers still missing from threads, by request. */
  readonly #waiting = new Map<number, { missing: number; connections: ConnectionEntry[]; closed: number }>();
  /** Threads that have messages and do not know yet. */
  readonly #asleep = new Set<Thread>();
  /** Addresses of this host, as long as this turn of the event loop lasts. */
  #local: ReadonlySet<string> | undefined;
  readonly #failures = new Map<number, { count: number; error: string }>();
  /** Services whose socket cannot be had, with the reason that was told; by slot. */
  readonly #shut = new Map<number, { readonly spec: ListenerSpec; readonly error: string }>();
  /** Addresses that the threads were told to let go of, and until when (milliseconds) they may still be at it; by name. */
  readonly #lettingGo = new Map<string, number>();
  /** What threads complain of and how often since it was last told, by message. */
  readonly #complaints = new Map<string, number>();
  /** Services whose address was not on this host when their socket was opened; by slot. */
  readonly #absent = new Set<number>();

  constructor() {
    const listeners = new Listeners({
      pool: this.#pool,
      toThreads: (message) => {
        if (message.type === 'listen' && !this.#mayListen(message.spec)) return;
        if (message.type === 'unlisten') this.#letGo(message.service);
        this.#toThreads(message);
      },
      serviceAdded: (spec) => {
        this.#mayListen(spec);
      },
    });
    this.#listeners = listeners;
    const table = new PoolTable(this.#pool, size, {
      refusal,
      engine: 'relay',
      timeouts: (timeouts) => {
        this.#toThreads({ type: 'timeouts', timeouts });
      },
      problem: (message) => {
        tell({ type: 'problem', message });
      },
      slotTaken: (kind, slot) => {
        if (kind === 'service') {
          this.#shut.delete(slot);
          this.#absent.delete(slot);
        }
        this.#counters.slotTaken(kind, slot);
      },
      zeroed: (service) => {
        this.#counters.zero(service);
      },
      serviceAdded: (service) => {
        listeners.serviceAdded(service);
      },
      serviceEdited: (service, before) => {
        listeners.serviceEdited(service, before);
      },
      serviceRemoved: (service) => {
        listeners.serviceRemoved(service);
      },
      destinationSet: (...change) => {
        listeners.destinationSet(...change);
      },
      destinationRemoved: (...change) => {
        listeners.destinationRemoved(...change);
      },
      applied: (touched) => {
        listeners.applied(table, touched);
      },
    });
    this.#table = table;
    const services = () => table.services();
    this.#counters = new CounterReport({ pool: this.#pool, size, tallies: this.#tallies, services });
  }

  async start(threads: number): Promise<void> {
    // Stopped, or the daemon is gone.
    process.on('disconnect', () => {
      this.#exit();
    });
    c.raiseOpenFiles(wantedOpenFiles);
    await Promise.all(Array.from({ length: threads }, () => this.#startThread()));
    process.on('message', (message: ToForwarder) => {
      if (message.type === 'verbs') this.#table.apply(message.verbs);
      else this.#request(message.id, message.request);
    });
    setInterval(() => {
      this.#reportFailures();
      this.#repeatComplaints();
    }, failureWindow).unref();
    setInterval(() => {
      this.#retryShut();
    }, retryPause).unref();
    tell({ type: 'ready' });
  }

  /** Threads that wait for packets would keep the process until one comes, and with it the addresses that it listens on. */
  #exit(): void {
    for (const { worker, wake } of this.#threads) {
      void worker.terminate();
      c.write(wake, wakeUp, 8);
    }
    process.exit();
  }

  #startThread(): Promise<void> {
    const wake = c.eventfd(0, c.SOCK_NONBLOCK | c.SOCK_CLOEXEC);
    const tallies = new SharedArrayBuffer(Tallies.bytes(size.services + size.destinations));
    const workerData: ThreadData = { pool: this.#buffer, size, tallies, wake };
    const worker = new Worker(siblingModule(import.meta.url, 'thread'), {
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb: 2 },
    });
    this.#threads.push({ worker, wake });
    this.#tallies.push(new Tallies(tallies));
    return new Promise((resolve, reject) => {
      worker.on('error', (error: Error) => {
        reject(error);
        // The daemon starts another process with the table replayed; half a relay would be worse than none.
        tell({ type: 'problem', message: `a relay thread died: ${error.stack ?? error.message}` });
        process.exitCode = 1;
        process.disconnect();
      });
      worker.on('message', (message: FromThread) => {
        if (message.type === 'ready') resolve();
        else this.#fromThread(message);
      });
    });
  }

  #toThreads(message: ToThread): void {
    const all = this.#threads;
    const persistent = message.type === 'listen' && message.spec.persistent !== undefined;
    const some = persistent ? all.slice(message.spec.service % all.length).slice(0, 1) : all;
    for (const thread of some) {
      thread.worker.postMessage(message);
      if (this.#asleep.size === 0) queueMicrotask(this.#wakeThreads);
      this.#asleep.add(thread);
    }
  }

  /** Once for all messages of one turn. */
  readonly #wakeThreads = (): void => {
    for (const { wake } of this.#asleep) c.write(wake, wakeUp, 8);
    this.#asleep.clear();
  };

  /**
   * Threads share a service's socket among themselves, which any other process of this user could join unnoticed. So
   * the address is first opened alone: that fails when anybody else has it.
   */
  #mayListen(spec: ListenerSpec): boolean {
    const name = this.#serviceName(spec.service);
    const error = this.#lettingGo.has(name) ? undefined : openAlone(spec);
    if (error !== undefined) {
      if (this.#shut.get(spec.service)?.error !== error) this.#tellShut(spec, error);
      this.#shut.set(spec.service, { spec, error });
      return false;
    }
    if (this.#shut.delete(spec.service)) tell({ type: 'info', message: `${name} gets traffic now` });
    if (this.#isLocal(spec.address)) this.#absent.delete(spec.service);
    else if (!this.#absent.has(spec.service)) {
      this.#absent.add(spec.service);
      const message = `${name}: ${spec.address} is not an address of this host yet; traffic starts when it is`;
      tell({ type: 'info', message });
    }
    return true;
  }

  #isLocal(address: string): boolean {
    if (familyOf(address) === 'inet' && address.startsWith('127.')) return true;
    // a restore asks for thousands in one turn
    if (this.#local === undefined) setImmediate(() => (this.#local = undefined));
    this.#local ??= localAddresses();
    return this.#local.has(address);
  }

  /** Until the threads have closed it, the address is in use by ourselves. */
  #letGo(service: number): void {
    this.#lettingGo.set(this.#serviceName(service), performance.now() + retryPause);
  }

  /** Sockets that could not be had: somebody may have let go of them. */
  #retryShut(): void {
    for (const [name, end] of this.#lettingGo) if (end < performance.now()) this.#lettingGo.delete(name);
    for (const [slot, { spec }] of this.#shut) {
      const service = this.#table.service(slot);
      const wanted = service !== undefined && this.#listeners.isOpen(service);
      if (wanted && this.#mayListen(spec)) this.#toThreads({ type: 'listen', spec });
    }
  }

  #tellShut(spec: ListenerSpec, error: string): void {
    const hint =
      error === 'Permission denied'
        ? 'ports below 1024 need root'
        : 'is another program using this address and port?';
    tell({
      type: 'problem',
      message: `${this.#serviceName(spec.service)} gets no traffic: ${error} (${hint}); trying again every second`,
    });
  }

  #fromThread(message: Exclude<FromThread, { type: 'ready' }>): void {
    switch (message.type) {
      case 'problem':
        this.#complain(message.message);
        break;
      case 'listening':
        tell({ type: 'info', message: `${this.#serviceName(message.service)} gets traffic now` });
        break;
      case 'not-listening':
        tell({
          type: 'problem',
          message: `${this.#serviceName(message.service)}: ${message.error}; trying again`,
        });
        break;
      case 'attempt-failed': {
        const count = (this.#failures.get(message.destination)?.count ?? 0) + 1;
        this.#failures.set(message.destination, { count, error: message.error });
        break;
      }
      case 'settled':
      case 'connections':
      case 'stopped':
        this.#answer(message);
        break;
    }
  }

  #serviceName(slot: number): string {
    const service = this.#table.service(slot);
    return service === undefined ? 'a deleted service' : serviceKey(service.id);
  }

  #reportFailures(): void {
    for (const [slot, { count, error }] of this.#failures) {
      const times = count === 1 ? 'a new connection' : `${count} new connections`;
      tell({
        type: 'problem',
        message: `${this.#table.nameOf(slot)} did not take ${times} (${error}); the next server was tried`,
      });
    }
    this.#failures.clear();
  }

  /** Told at once; what comes again with every client is told once more a window. */
  #complain(message: string): void {
    const count = this.#complaints.get(message);
    this.#complaints.set(message, (count ?? -1) + 1);
    if (count === undefined) tell({ type: 'problem', message });
  }

  #repeatComplaints(): void {
    for (const [message, count] of this.#complaints) {
      if (count === 0) this.#complaints.delete(message);
      else {
        this.#complaints.set(message, 0);
        tell({ type: 'problem', message: `${message} (${count} more times)` });
      }
    }
  }

  // ---- answers to the daemon

  #request(id: number, request: Request): void {
    if (request === 'report') {
      tell({ type: 'report', id, report: this.#counters.report() });
      return;
    }
    this.#waiting.set(id, { missing: this.#threads.length, connections: [], closed: 0 });
    this.#toThreads({ type: request, id });
  }

  #answer(message: Extract<FromThread, { readonly id: number }>): void {
    const answer = this.#waiting.get(message.id);
    if (answer === undefined) return;
    answer.missing -= 1;
    if (message.type === 'connections') answer.connections = answer.connections.concat(message.connections);
    if (message.type === 'stopped') answer.closed += message.closed;
    if (answer.missing > 0) return;
    this.#waiting.delete(message.id);
    const { connections, closed } = answer;
    const { id, type } = message;
    if (type === 'connections') tell({ type, id, connections });
    else if (type === 'settled') tell({ type, id });
    else {
      tell({ type, id, closed });
      process.disconnect();
    }
  }
}

const wakeUp = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);

function tell(message: FromForwarder): void {
  if (process.connected) process.send?.(message);
}

/** Opens a service's address for a moment without sharing it. @returns why that failed */
function openAlone(spec: ListenerSpec): string | undefined {
  const opened = openService(spec, false);
  if ('error' in opened) return c.errorText(opened.error);
  c.close(opened.fd);
  return undefined;
}

function localAddresses(): ReadonlySet<string> {
  const entries = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return new Set(entries.flatMap(({ address }) => canonicalAddress(address) ?? []));
}

// A terminal's Ctrl-C and a service manager's TERM reach the whole group; the daemon decides when forwarding ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);
const threads = Number(process.env['DIRECTORD_RELAY_THREADS'] ?? 0);
await new Forwarder().start(threads > 0 ? threads : Math.min(availableParallelism(), mostThreads));
