/**
 * The virtual-service table of the ebpf engine: verbs become what the maps of the BPF programs hold, and the maps become reports and
 * listings. All of it survives the daemon in pinned maps, so a new one begins with the table that it finds.
 */
import type { VirtualService } from '../../director/table.ts';
import type { Verb } from '../../director/verbs.ts';
import { acceptOwnPackets } from '../../platform/own-packets.ts';
import type { PoolSize } from '../../scheduling/pool.ts';
import { Pool } from '../../scheduling/pool.ts';
import type { Address } from '../../util/ip.ts';
import type { ConnectionPart } from '../child-protocol.ts';
import type { AdoptedTable, ConnectionEntry } from '../engine.ts';
import type { MarkService } from '../marks/marks.ts';
import type { PackedReport } from '../packed-report.ts';
import type { PoolDestination, PoolService } from '../pool-table.ts';
import { PoolTable } from '../pool-table.ts';
import type { Bypass } from '../unanswered.ts';
import { Unanswered } from '../unanswered.ts';
import type { VsSettings } from '../vs-settings.ts';
import { BeginningServers } from './beginning-servers.ts';
import { Counting } from './counting.ts';
import { DirectorSettings } from './director-settings.ts';
import { RealEndpoints, ServiceEndpoints } from './endpoints.ts';
import { FlowRows } from './flow-rows.ts';
import { ways } from './layout.ts';
import type { LoadedDirector } from './program.ts';
import { refusal } from './refusal.ts';
import { ServerRecords } from './server-records.ts';
import { ServiceRules } from './service-rules.ts';
import { SlotTables } from './slot-tables.ts';
import { tableInMaps } from './table-in-maps.ts';
import { templateData } from './template-data.ts';
import { monotonicTicks } from './ticks.ts';

export interface EbpfTableOptions {
  readonly director: LoadedDirector;
  readonly size: PoolSize;
  readonly settings: VsSettings;
  /** Tunnels lower the largest segment that a SYN tells, to what has room in them. */
  readonly mssClamp?: boolean;
  problem(message: string): void;
  /** The slot has a server's address, and is not picked yet. */
  serverComes?(slot: number): void;
}

export class EbpfTable {
  readonly #options: EbpfTableOptions;
  readonly #pool: Pool;
  readonly #settings: DirectorSettings;
  readonly #rules: ServiceRules;
  readonly #servers: ServerRecords;
  readonly #endpoints: ServiceEndpoints;
  readonly #realEndpoints: RealEndpoints;
  readonly #beginners: BeginningServers;
  readonly #slotTables: SlotTables;
  readonly #counting: Counting;
  readonly #flows: FlowRows;
  readonly #table: PoolTable;
  /** Services that packets can find, by slot. */
  readonly #served = new Map<number, Pick<PoolService, 'id' | 'settings'>>();
  /** Destinations that are in the table, by slot. */
  readonly #present = new Set<number>();

  /** Takes over what the maps hold. Nobody else may be changing it. */
  constructor(options: EbpfTableOptions) {
    const { director, size } = options;
    this.#options = options;
    this.#pool = new Pool(director.pool, size);
    this.#settings = new DirectorSettings(director.view('settings'));
    this.#settings.setVsSettings(options.settings);
    this.#settings.mssClamp = options.mssClamp ?? false;
    this.#rules = new ServiceRules(director.view('rules'), size.services);
    this.#servers = new ServerRecords(director.view('servers'));
    this.#endpoints = new ServiceEndpoints(director.map('endpoints'));
    this.#realEndpoints = new RealEndpoints(director.map('real_endpoints'));
    this.#beginners = new BeginningServers(director.map('beginners'));
    this.#slotTables = new SlotTables(director.map('slot_tables'), this.#pool);
    this.#counting = new Counting({
      pool: this.#pool,
      size,
      traffic: director.map('traffic'),
      rows: director.view('tallies'),
      services: () => this.#table.services(),
    });
    this.#flows = new FlowRows(
      this.#pool,
      (name) => ({ memory: director.view(name), slots: director.map(name).maxEntries * ways }),
      templateData(director.map('template_data')),
    );
    this.#table = this.#poolTable();
    this.#takeOver();
  }

  /** Applies verbs as one change. */
  apply(verbs: readonly Verb[]): void {
    this.#table.apply(verbs);
  }

  /** The table as it is in the maps: what a new daemon begins with. */
  adopt(): AdoptedTable {
    return { services: this.services(), timeouts: this.#settings.timeouts() };
  }

  /** In the order in which they were added. */
  services(): VirtualService[] {
    return Array.from(this.#table.services(), ({ id, settings, destinations }) => ({
      id,
      settings,
      destinations: Array.from(destinations.values(), ({ id, settings }) => ({ id, ...settings })).reverse(),
    }));
  }

  /** Those of firewall marks that packets can find. */
  marks(): MarkService[] {
    return Array.from(this.#served.values(), ({ id }) => id)
      .filter((id) => id.kind === 'fwmark')
      .map(({ mark, family }) => ({ mark, family: family === 'inet' ? 4 : 6 }));
  }

  /** Lets this host's own programs be clients. */
  admitOwnPackets(): void {
    if (acceptOwnPackets(true)) this.#settings.ownPackets = true;
  }

  /** Puts back what {@link admitOwnPackets} changed. */
  dismissOwnPackets(): void {
    if (!this.#settings.ownPackets) return;
    acceptOwnPackets(false);
    this.#settings.ownPackets = false;
  }

  setSettings(settings: VsSettings): void {
    this.#settings.setVsSettings(settings);
  }

  /** Of servers whose replies did not come since the last call: lines for the log. */
  unanswered(bypass: (server: Address, client: Address) => Bypass): string[] {
    const unanswered = new Unanswered();
    for (const slot of this.#present) {
      const found = this.#servers.takeUnanswered(slot);
      if (found === undefined) continue;
      const { client, times } = found;
      unanswered.note(slot, () => client, bypass(this.#servers.address(slot), client), times);
    }
    return unanswered.lines((slot) => this.#table.nameOf(slot));
  }

  report(): PackedReport {
    return this.#counting.report();
  }

  /** @param now {@link monotonicTicks} */
  rows(now: number): ConnectionEntry[] {
    return this.#flows.rows(now);
  }

  /** @param from where the part before ended, 0 for the first */
  part(now: number, from: number): ConnectionPart {
    return this.#flows.part(now, from);
  }

  /** Connections that carry traffic. It looks at every slot: some milliseconds. */
  established(now = monotonicTicks()): number {
    return this.#flows.established(now);
  }

  /** Forgets deleted destinations that no connection refers to any more; to be called about once a second. */
  forgetRemains(): void {
    this.#table.forgetRemains();
  }

  /** Name of a destination for a log line: `10.2.0.11:80 of tcp:10.1.0.100:80`. */
  nameOf(destination: number): string {
    return this.#table.nameOf(destination);
  }

  /** A daemon that died amid a change has left some maps a step behind others. */
  #takeOver(): void {
    this.#pool.mend();
    const { services, deleted } = tableInMaps(this.#pool, this.#options.size, this.#rules, this.#servers);
    this.#table.adopt(services, deleted);
    const served = services.filter(({ id, settings }) => refusal(id, settings) === undefined);
    for (const { slot, id, settings } of served) this.#served.set(slot, { id, settings });
    this.#settings.recount(served);
    this.#realEndpoints.replace(
      services.flatMap(({ id: service, destinations }) =>
        Array.from(destinations.values(), ({ id }) => ({ service, id })),
      ),
    );
    for (const { destinations } of services)
      for (const { slot } of destinations.values()) this.#present.add(slot);
    this.#slotTables.refreshAll(services.map(({ slot }) => slot));
    this.#endpoints.replace(served);
    this.#beginners.replace(served);
  }

  #poolTable(): PoolTable {
    return new PoolTable(this.#pool, this.#options.size, {
      refusal,
      engine: 'ebpf',
      timeouts: (timeouts) => {
        this.#settings.setTimeouts(timeouts);
      },
      problem: (message) => {
        this.#options.problem(message);
      },
      slotTaken: (kind, slot) => {
        this.#counting.slotTaken(kind, slot);
        if (kind === 'service') this.#rules.clear(slot);
        else if (!this.#pool.referenced(slot)) this.#servers.clear(slot);
      },
      zeroed: (service) => {
        this.#counting.zero(service);
      },
      serviceAdded: (service) => {
        this.#rules.add(service);
        this.#serve(service);
      },
      serviceEdited: (service) => {
        this.#rules.edit(service);
        this.#serve(service);
        for (const destination of service.destinations.values()) this.#setBeginner(service, destination);
      },
      serviceLeaves: (service) => {
        this.#unserve(service);
      },
      serviceRemoved: ({ slot }) => {
        this.#slotTables.delete(slot);
      },
      destinationComes: (service, destination, revived) => {
        const { slot, id, settings } = destination;
        if (revived) this.#counting.destinationRevived(slot);
        this.#servers.set(slot, id, settings, this.#rules.serial(service.slot));
        this.#options.serverComes?.(slot);
        if (!this.#present.has(slot)) this.#realEndpoints.add(service.id, id);
        this.#present.add(slot);
      },
      destinationSet: (service, destination) => {
        this.#setBeginner(service, destination);
      },
      destinationRemoved: (service, { id, slot }) => {
        this.#counting.destinationRemoved(service.slot, slot);
        this.#servers.forgetWay(slot);
        this.#realEndpoints.remove(service.id, id);
        this.#beginners.delete(slot);
        this.#present.delete(slot);
      },
      applied: (touched) => {
        for (const { slot } of touched) this.#slotTables.refresh(slot);
      },
    });
  }

  #setBeginner(service: PoolService, destination: PoolDestination): void {
    if (this.#served.has(service.slot)) this.#beginners.set(service, destination);
    else this.#beginners.delete(destination.slot);
  }

  /** Packets find it, unless the engine refuses it: the log has said so. */
  #serve(service: PoolService): void {
    const { slot, id, settings } = service;
    const before = this.#served.get(slot);
    if (refusal(id, settings) !== undefined) {
      this.#unserve(service);
      return;
    }
    if (before !== undefined) this.#settings.count(id, before.settings, -1);
    this.#settings.count(id, settings, 1);
    this.#served.set(slot, { id, settings });
    if (before === undefined) this.#endpoints.set(id, slot);
  }

  #unserve({ slot, id }: PoolService): void {
    const before = this.#served.get(slot);
    if (before === undefined) return;
    this.#endpoints.delete(id);
    this.#settings.count(id, before.settings, -1);
    this.#served.delete(slot);
  }
}
