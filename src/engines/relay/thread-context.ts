/** What everything in one forwarding thread shares, and the few questions that all of it asks. Hot path. */
import type { ConnectionKey } from '../../connections/connection-key.ts';
import type { ConnectionTable } from '../../connections/connection-table.ts';
import { NO_SLOT } from '../../connections/connection-table.ts';
import type { Pool, PoolSize } from '../../scheduling/pool.ts';
import { NONE } from '../../scheduling/pool.ts';
import { chooseDestination } from './choose.ts';
import type { EventLoop } from './event-loop.ts';
import type { Pipes } from './pipes.ts';
import type { FromThread } from './protocol.ts';
import type { SockaddrReader } from './socket-address.ts';
import type { Tallies } from './tallies.ts';

/** An open connection or flow: what a connection-table entry belongs to while it has sockets. */
export interface Owner {
  /** The entry's timer ran out: let go of the sockets. The table removes the entry. */
  expire(): void;
  /** The destination left the table, or came back. */
  hold(held: boolean): void;
  /** Closes the sockets at once. */
  abort(): void;
}

export class ThreadContext {
  readonly loop: EventLoop;
  readonly pool: Pool;
  readonly table: ConnectionTable;
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
    pipes: Pipes;
    peer: SockaddrReader;
    key: ConnectionKey;
    tallies: Tallies;
    tell: (message: FromThread) => void;
  }) {
    this.loop = parts.loop;
    this.pool = parts.pool;
    this.table = parts.table;
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
  schedule(service: number, state: number, tried: readonly number[]): number {
    this.pool.lock();
    try {
      const destination = chooseDestination(this.pool, service, this.key, tried);
      if (destination === NONE) return NO_SLOT;
      const slot = this.table.insert(this.key, destination, this.loop.now);
      if (slot !== NO_SLOT) this.table.setState(slot, state, this.loop.now);
      return slot;
    } finally {
      this.pool.unlock();
    }
  }

  countConnection(slot: number): void {
    const destination = this.table.destination(slot);
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
