/** A pool with one service, handled as the director handles it: the golden and the model tests share it. */
import { NONE, Pool } from '../../src/scheduling/pool.ts';
import { schedulerAt, schedulerIndex } from '../../src/scheduling/registry.ts';
import type { Flow, Scheduler } from '../../src/scheduling/scheduler.ts';

export interface ServerSettings {
  readonly weight: number;
  readonly upper?: number;
  readonly lower?: number;
}

/** For those who have a pool and a way to pick of their own. */
export type NewLab = (scheduler: string, flags: number, family: 4 | 6) => Lab;
export const newLab: NewLab = (scheduler, flags, family) => new Lab(scheduler, flags, family);

export class Lab {
  readonly pool: Pool;
  readonly service: number;
  /** Pool slots by server number: server 1 is 10.2.0.11. */
  readonly servers = new Map<number, number>();
  #scheduler: Scheduler;
  readonly #flags: number;
  readonly #family: 4 | 6;
  readonly #deleted = new Map<number, number>();

  constructor(
    scheduler: string,
    flags = 0,
    family: 4 | 6 = 4,
    pool: Pool = Pool.create({ services: 2, destinations: 16 }),
  ) {
    this.pool = pool;
    const index = indexOf(scheduler);
    this.#scheduler = schedulerAt(index);
    this.#flags = flags;
    this.#family = family;
    this.service = this.pool.addService(index, flags);
    this.#scheduler.attached(this.pool, this.service);
  }

  editService(scheduler: string): void {
    const index = indexOf(scheduler);
    const changed = index !== this.pool.scheduler(this.service);
    this.pool.editService(this.service, index, this.#flags);
    this.#scheduler = schedulerAt(index);
    if (changed) this.#scheduler.attached(this.pool, this.service);
  }

  add(server: number, settings: ServerSettings): void {
    const address = this.#family === 4 ? `10.2.0.${10 + server}` : `2001:db8:2::${10 + server}`;
    this.servers.set(server, this.pool.addDestination(this.service, address, 80));
    this.edit(server, settings);
  }

  /** Adds a server that was there before: as in the kernel, it comes back to the connections that it still has. */
  bringBack(server: number, settings: ServerSettings): void {
    const slot = this.#deleted.get(server);
    if (slot === undefined || !this.pool.referenced(slot)) {
      this.add(server, settings);
      return;
    }
    this.pool.link(this.service, slot);
    this.servers.set(server, slot);
    this.edit(server, settings);
  }

  edit(server: number, { weight, upper = 0, lower = 0 }: ServerSettings): void {
    this.pool.setDestination(this.slot(server), { weight, upper, lower, barred: false });
    this.#scheduler.changed(this.pool, this.service);
  }

  delete(server: number): void {
    this.#scheduler.removing(this.pool, this.service, this.slot(server));
    this.pool.unlink(this.slot(server));
    this.#deleted.set(server, this.slot(server));
    this.#scheduler.changed(this.pool, this.service);
    this.servers.delete(server);
  }

  /** Number of the chosen server, or undefined: refused. Nothing is counted. */
  pick(flow: Flow = flowFrom(2)): number | undefined {
    const slot = this.choose(flow);
    if (slot === NONE) return undefined;
    return [...this.servers].find(([, at]) => at === slot)?.[0];
  }

  /** Pool slot of the choice, or NONE. */
  protected choose(flow: Flow): number {
    return this.#scheduler.pick(this.pool, this.service, flow);
  }

  slot(server: number): number {
    const slot = this.servers.get(server);
    if (slot === undefined) throw new Error(`there is no server ${server}`);
    return slot;
  }
}

/** A flow from 10.1.0.N to the virtual address 10.1.0.100. */
export function flowFrom(host: number, clientPort = 50001): Flow {
  return {
    family: 4,
    client: Int32Array.of(0x0a010000 + host, 0, 0, 0),
    clientPort,
    virtual: Int32Array.of(0x0a010064, 0, 0, 0),
    now: 0,
  };
}

function indexOf(scheduler: string): number {
  const index = schedulerIndex(scheduler);
  if (index === undefined) throw new Error(`there is no scheduler ${scheduler}`);
  return index;
}
