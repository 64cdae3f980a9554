/**
 * Everything of the packet engine that is not I/O: the virtual services in a pool, their connections, and the forwarder over both.
 * Time passes and packets come when its owner says so, so it runs in a test as it does behind a network card.
 */
import { ConnectionTable } from '../../connections/connection-table.ts';
import { PersistenceTable } from '../../connections/persistence.ts';
import { TCP } from '../../connections/protocols.ts';
import { TcpState } from '../../connections/tcp-states.ts';
import { ConnectionTimeouts } from '../../connections/timeouts.ts';
import type { Verb } from '../../director/verbs.ts';
import type { PoolSize } from '../../scheduling/pool.ts';
import { Pool } from '../../scheduling/pool.ts';
import { IpPacket } from '../../wire/ip-packet.ts';
import type { ConnectionPart } from '../child-protocol.ts';
import { connectionPart, connectionRows } from '../connection-rows.ts';
import { CounterReport } from '../counter-report.ts';
import type { ConnectionEntry } from '../engine.ts';
import type { PackedReport } from '../packed-report.ts';
import type { PoolService } from '../pool-table.ts';
import { PoolTable } from '../pool-table.ts';
import { Tallies } from '../tallies.ts';
import { Claimants } from './claimants.ts';
import { BeginningServers } from './forwarding/beginning-servers.ts';
import { Destinations } from './forwarding/destinations.ts';
import type { Egress } from './forwarding/egress.ts';
import { Forwarder } from './forwarding/forwarder.ts';
import type { ForwarderParts } from './forwarding/parts.ts';
import { refusal } from './refusal.ts';
import { Services } from './forwarding/services.ts';
import { Drops } from './forwarding/verdict.ts';
import type { VsSettings } from '../vs-settings.ts';

export interface PacketTableOptions {
  readonly size: PoolSize;
  readonly settings: VsSettings;
  /** Connections that there is room for at once, a power of two; more make it grow. */
  readonly capacity: number;
  /** The most connections at a time; half-open ones make room for others. */
  readonly limit: number;
  /** The most half-open connections at a time, a power of two. */
  readonly halfOpen: number;
  /** 32 random bits. */
  readonly seed: number;
  /** Milliseconds: where time begins. */
  readonly now: number;
  egress(destinations: Destinations): Egress;
  readonly mark: ForwarderParts['mark'];
  readonly unanswered: ForwarderParts['unanswered'];
  problem(message: string): void;
  /** The slot has another server now. */
  serverChanged(destination: number): void;
}

export class PacketTable {
  readonly forwarder: Forwarder;
  readonly connections: ConnectionTable;
  readonly drops = new Drops();
  readonly #pool: Pool;
  readonly #templates: PersistenceTable;
  readonly #timeouts = new ConnectionTimeouts();
  readonly #services = new Services();
  readonly #destinations = new Destinations();
  readonly #beginners = new BeginningServers();
  readonly #table: PoolTable;
  readonly #counters: CounterReport;
  /** Slots of destinations that are in the table. */
  readonly #counted = new Set<number>();
  readonly #claimants = new Claimants();

  constructor(options: PacketTableOptions) {
    const { size, settings, seed, now, limit, halfOpen } = options;
    this.#pool = Pool.create(size);
    const common = { seed, timeouts: this.#timeouts, now, limit, halfOpen, capacity: options.capacity };
    const pool = this.#pool;
    this.#templates = new PersistenceTable(pool, {
      ...common,
      expireQuiescent: settings.expire_quiescent_template !== 0,
    });
    this.connections = new ConnectionTable(pool, {
      ...common,
      templates: this.#templates,
      twoWay: true,
    });
    const tallies = new Tallies(new ArrayBuffer(Tallies.bytes(size.services + size.destinations)));
    this.forwarder = new Forwarder({
      pool,
      size,
      tallies,
      settings,
      seed,
      services: this.#services,
      destinations: this.#destinations,
      beginners: this.#beginners,
      connections: this.connections,
      templates: this.#templates,
      egress: options.egress(this.#destinations),
      drops: this.drops,
      mark: options.mark,
      unanswered: options.unanswered,
      scratch: new IpPacket(),
    });
    this.#table = this.#poolTable(options);
    this.#counters = new CounterReport({
      pool,
      size,
      tallies: [tallies],
      services: () => this.#table.services(),
    });
  }

  /** Applies verbs as one change. */
  apply(verbs: readonly Verb[]): void {
    this.#table.apply(verbs);
  }

  /** Lets time pass; to be called about once a second. */
  advance(now: number): void {
    this.connections.advance(now, () => 0);
    this.#templates.advance(now);
    this.forwarder.advance(now);
  }

  /** Forgets deleted destinations that no connection refers to any more. @returns whether there were any */
  forgetRemains(): boolean {
    return this.#claimants.forget((slot) => this.#pool.available(slot) || !this.#pool.referenced(slot));
  }

  /** Who claims packets. */
  get claimants(): Pick<Claimants, 'isEmpty' | 'takeChanged'> {
    return this.#claimants;
  }

  /** The persistence templates. */
  get templates(): ConnectionTable {
    return this.#templates.table;
  }

  /** Whether a firewall mark may decide about a packet. */
  get marked(): boolean {
    return this.#services.marked;
  }

  report(): PackedReport {
    return this.#counters.report();
  }

  rows(now: number): ConnectionEntry[] {
    return connectionRows(this.#pool, this.connections, this.#templates, now);
  }

  /** @param from - where the part before ended, 0 for the first */
  part(now: number, from: number): ConnectionPart {
    return connectionPart(this.#pool, this.connections, this.#templates, now, from);
  }

  /** Connections that carry traffic: those that end when the engine does. */
  established(): number {
    let count = 0;
    const { connections } = this;
    connections.forEach((slot) => {
      if (connections.protocol(slot) === TCP && connections.state(slot) === TcpState.established) count++;
    });
    return count;
  }

  /** Name of a destination for a log line: `10.2.0.11:80 of tcp:10.1.0.100:80`. */
  nameOf(destination: number): string {
    return this.#table.nameOf(destination);
  }

  #poolTable(options: PacketTableOptions): PoolTable {
    return new PoolTable(this.#pool, options.size, {
      refusal,
      engine: 'packet',
      timeouts: (timeouts) => {
        this.#timeouts.set(timeouts);
      },
      problem: (message) => {
        options.problem(message);
      },
      slotTaken: (kind, slot) => {
        this.#counters.slotTaken(kind, slot);
      },
      zeroed: (service) => {
        this.#counters.zero(service);
      },
      serviceAdded: (service) => {
        this.#setService(service);
      },
      serviceEdited: (service) => {
        this.#setService(service);
        this.#beginners.setService(service);
      },
      serviceRemoved: (service) => {
        this.#services.delete(service.slot, service.id);
        this.#claimants.serviceRemoved(service);
      },
      destinationSet: (service, destination) => {
        const { id, slot, settings } = destination;
        this.#destinations.set(slot, id, settings);
        this.#beginners.set(service, destination);
        if (!this.#counted.has(slot)) this.#destinations.count(service.id, id, 1);
        this.#counted.add(slot);
        this.#claimants.destinationSet(service, destination);
        options.serverChanged(slot);
      },
      destinationRemoved: (service, destination, held) => {
        this.#destinations.count(service.id, destination.id, -1);
        this.#beginners.delete(destination.slot);
        this.#counted.delete(destination.slot);
        this.#claimants.destinationRemoved(service, destination, held);
      },
      applied: () => undefined,
    });
  }

  /** A service that the engine refuses gets no packets: the log has said so. */
  #setService(service: PoolService): void {
    const { slot, id, settings } = service;
    if (refusal(id, settings) === undefined) this.#services.set(slot, id, settings);
    else this.#services.delete(slot, id);
    this.#claimants.serviceSet(service);
  }
}
