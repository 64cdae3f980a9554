/**
 * A forwarding thread of the relay: opens its share of every service, and turns its event loop until it is told to stop.
 * The pool and the tallies are shared with the forwarder; connections belong to the thread that accepted them.
 */
import { randomInt } from 'node:crypto';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { ConnectionKey } from '../../connections/connection-key.ts';
import { ConnectionTable } from '../../connections/connection-table.ts';
import { PersistenceTable } from '../../connections/persistence.ts';
import { ConnectionTimeouts } from '../../connections/timeouts.ts';
import * as c from '../../platform/libc.ts';
import { Pool } from '../../scheduling/pool.ts';
import { connectionRows } from '../connection-rows.ts';
import type { ConnectionEntry } from '../engine.ts';
import { Tallies } from '../tallies.ts';
import { EventLoop } from './event-loop.ts';
import { openService } from './listen.ts';
import { Pipes } from './pipes.ts';
import type { FromThread, ListenerSpec, ThreadData, ToThread } from './protocol.ts';
import { SockaddrReader } from './socket-address.ts';
import type { Attempts } from './tcp-connection.ts';
import { TcpListener } from './tcp-listener.ts';
import { ThreadContext } from './thread-context.ts';
import { UdpListener } from './udp-listener.ts';

/** Longest wait for events: the beat of timers. */
const BEAT_MILLISECONDS = 250;

class ForwardingThread {
  readonly #port: NonNullable<typeof parentPort>;
  readonly #data: ThreadData;
  readonly #loop = new EventLoop();
  readonly #timeouts = new ConnectionTimeouts();
  readonly #context: ThreadContext;
  readonly #attempts: Attempts = new Map();
  readonly #listeners = new Map<number, TcpListener | UdpListener>();
  /** Services whose socket could not be opened yet, tried again every second. */
  readonly #wanted = new Map<number, ListenerSpec>();
  readonly #wakeBuffer = new Uint8Array(8);
  #running = true;
  #lastSecond = 0;

  constructor(port: NonNullable<typeof parentPort>, data: ThreadData) {
    this.#port = port;
    this.#data = data;
    const pool = new Pool(data.pool, data.size);
    const common = { seed: randomInt(2 ** 32 - 1), timeouts: this.#timeouts, now: this.#loop.now };
    const templates = new PersistenceTable(pool, common);
    this.#context = new ThreadContext({
      loop: this.#loop,
      pool,
      size: data.size,
      table: new ConnectionTable(pool, { ...common, templates }),
      templates,
      pipes: new Pipes(),
      peer: new SockaddrReader(),
      key: new ConnectionKey(),
      tallies: new Tallies(data.tallies),
      tell: (message) => {
        this.#tell(message);
      },
    });
  }

  run(): void {
    c.ownDescriptors();
    this.#loop.watch(this.#data.wake, { ready: this.#takeMessages }, 'level');
    this.#tell({ type: 'ready' });
    while (this.#running) {
      this.#loop.turn(BEAT_MILLISECONDS);
      this.#giveUpAttempts();
      if (this.#loop.now - this.#lastSecond >= 1000) this.#everySecond();
    }
  }

  readonly #takeMessages = (): void => {
    c.read(this.#data.wake, this.#wakeBuffer, 8);
    for (;;) {
      const received = receiveMessageOnPort(this.#port) as { message: ToThread } | undefined;
      if (received === undefined) return;
      this.#take(received.message);
    }
  };

  #take(message: ToThread): void {
    switch (message.type) {
      case 'listen':
        this.#unlisten(message.spec.service);
        this.#listen(message.spec);
        break;
      case 'unlisten':
        this.#unlisten(message.service);
        break;
      case 'hold':
        this.#hold(message.destination, message.held);
        break;
      case 'timeouts':
        this.#timeouts.set(message.timeouts);
        break;
      case 'settle':
        this.#tell({ type: 'settled', id: message.id });
        break;
      case 'connections':
        this.#tell({ type: 'connections', id: message.id, connections: this.#connections() });
        break;
      case 'stop':
        this.#stop(message.id);
        break;
    }
  }

  #connections(): ConnectionEntry[] {
    const { pool, table, templates } = this.#context;
    return connectionRows(pool, table, templates, this.#loop.now);
  }

  #listen(spec: ListenerSpec): void {
    const opened = openService(spec, true);
    if ('error' in opened) {
      if (!this.#wanted.has(spec.service)) {
        this.#tell({ type: 'not-listening', service: spec.service, error: c.errorText(opened.error) });
      }
      this.#wanted.set(spec.service, spec);
      return;
    }
    if (this.#wanted.delete(spec.service)) this.#tell({ type: 'listening', service: spec.service });
    this.#listeners.set(
      spec.service,
      spec.protocol === 'tcp'
        ? new TcpListener(this.#context, this.#attempts, spec, opened.fd)
        : new UdpListener(this.#context, spec, opened.fd),
    );
  }

  #unlisten(service: number): void {
    this.#wanted.delete(service);
    this.#listeners.get(service)?.close();
    this.#listeners.delete(service);
  }

  #hold(destination: number, held: boolean): void {
    const { table, owners } = this.#context;
    owners.forEach((owner, slot) => {
      if (owner !== undefined && table.destination(slot) === destination) owner.hold(held);
    });
  }

  #giveUpAttempts(): void {
    for (const [connection, deadline] of this.#attempts) {
      if (deadline > this.#loop.now) return;
      connection.giveUp();
    }
  }

  #everySecond(): void {
    this.#lastSecond = this.#loop.now;
    for (const listener of this.#listeners.values()) listener.tick();
    for (const spec of [...this.#wanted.values()]) this.#listen(spec);
    this.#context.table.advance(this.#loop.now, (slot) => {
      this.#context.owners[slot]?.expire();
      return 0;
    });
    this.#context.templates.advance(this.#loop.now);
  }

  #stop(id: number): void {
    for (const service of [...this.#listeners.keys()]) this.#unlisten(service);
    let closed = 0;
    for (const owner of this.#context.owners) {
      if (owner === undefined) continue;
      closed += 1;
      owner.abort();
    }
    this.#running = false;
    this.#tell({ type: 'stopped', id, closed });
  }

  #tell(message: FromThread): void {
    this.#port.postMessage(message);
  }
}

if (parentPort !== null) new ForwardingThread(parentPort, workerData as ThreadData).run();
