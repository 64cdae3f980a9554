/** What everything in one forwarding thread shares, and the few questions that all of it asks. Hot path. */
import type { ConnectionKey } from '../../connections/connection-key.ts';
import type { ConnectionTable } from '../../connections/connection-table.ts';
import { NO_SLOT } from '../../connections/connection-table.ts';
import type { PersistenceTable, PersistentService } from '../../connections/persistence.ts';
import type { Pool, PoolSize } from '../../scheduling/pool.ts';
import { NONE } from '../../scheduling/pool.ts';
import type { Tallies } from '../tallies.ts';
import { chooseDestination } from './choose.ts';
import type { EventLoop } from './event-loop.ts';
import type { Pipes } from './pipes.ts';
import type { FromThread, ListenerSpec } from './protocol.ts';
import type { SockaddrReader } from './socket-address.ts';

/** An open connection or flow: what a connection-table entry belongs to while it has sockets. */
export interface Owner {
  /** The entry's timer ran out: let go of the sockets. The table removes the entry. */
  expire(): void;
  /** The destination left the table, or came back. */
  hold(held: boolean): void;
  /** Closes the sockets at once. */
  abort(): void;
}

const nobody: readonly number[] = [];

export class ThreadContext {
  readonly loop: EventLoop;
  readonly pool: Pool;
  readonly table: ConnectionTable;
  readonly templates: PersistenceTable;
  readonly pipes: Pipes;
  readonly scratch = new Uint8Array(64 * 1024);
  readonly peer: SockaddrReader;
  readonly key: ConnectionKey;
  /** By slot of the connection table. */
  readonly owners: (Owner | undefined)[] = [];
  readonly tell: (message: FromThread) => void;
  readonly #tallies: Tallies;
  readonly #services: number;

  constructor(parts: {
    loop: EventLoop;
    pool: Pool;
    size: PoolSize;
    table: ConnectionTable;
    templates: PersistenceTable;
    pipes: Pipes;
    peer: SockaddrReader;
    key: ConnectionKey;
    tallies: Tallies;
    tell: (message: FromThread) => void;
  }) {
    this.loop = parts.loop;
    this.pool = parts.pool;
    this.table = parts.table;
    this.templates = parts.templates;
    this.pipes = parts.pipes;
    this.peer = parts.peer;
    this.key = parts.key;
    this.tell = parts.tell;
    this.#tallies = parts.tallies;
    this.#services = parts.size.services;
  }

  /**
   * Schedules the connection that {@link key} names and enters it in the table in the given state, in one step: the next
   * choice, on whatever thread, already counts it.
   * @returns its slot, or NO_SLOT when there is no destination for it
   */
  schedule(spec: ListenerSpec, state: number): number {
    this.pool.lock();
    try {
      const template =
        spec.persistent === undefined ? NO_SLOT : this.templates.find(this.key, spec.persistent);
      const destination = this.#choose(spec, template, nobody);
      if (destination === NONE) return NO_SLOT;
      const slot = this.table.insert(this.key, destination, this.loop.now);
      if (slot === NO_SLOT) return NO_SLOT;
      this.table.setState(slot, state, this.loop.now);
      if (spec.persistent !== undefined) this.#persist(slot, template, spec.persistent, destination);
      this.#countConnection(destination);
      return slot;
    } finally {
      this.pool.unlock();
    }
  }

  /**
   * Another destination, not tried yet, for a connection that no server has seen a byte of.
   * @returns false when there is none; the connection then is as it was
   */
  reschedule(spec: ListenerSpec, slot: number, tried: readonly number[]): boolean {
    this.table.key(slot, this.key);
    this.pool.lock();
    try {
      const destination = this.#choose(spec, NO_SLOT, tried);
      if (destination === NONE) return false;
      this.table.rebind(slot, destination);
      this.#countConnection(destination);
      return true;
    } finally {
      this.pool.unlock();
    }
  }

  /** A client of a persistent service goes where it went before. */
  #choose(spec: ListenerSpec, template: number, tried: readonly number[]): number {
    if (template !== NO_SLOT) return this.templates.destination(template);
    this.key.now = this.loop.now / 1000;
    return chooseDestination(this.pool, spec.service, this.key, tried);
  }

  #persist(slot: number, known: number, service: PersistentService, destination: number): void {
    const { now } = this.loop;
    const template = known === NO_SLOT ? this.templates.insert(this.key, service, destination, now) : known;
    if (template === NO_SLOT) return;
    if (known !== NO_SLOT) this.templates.restart(template, now);
    this.table.setTemplate(slot, template);
  }

  #countConnection(destination: number): void {
    this.#tallies.connection(this.pool.serviceOf(destination));
    this.#tallies.connection(this.#services + destination);
  }

  countIn(slot: number, bytes: number): void {
    const destination = this.table.destination(slot);
    this.#tallies.incoming(this.pool.serviceOf(destination), bytes);
    this.#tallies.incoming(this.#services + destination, bytes);
  }

  countOut(slot: number, bytes: number): void {
    const destination = this.table.destination(slot);
    this.#tallies.outgoing(this.pool.serviceOf(destination), bytes);
    this.#tallies.outgoing(this.#services + destination, bytes);
  }
}
