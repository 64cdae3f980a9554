/**
 * The ebpf engine: the kernel forwards, by programs on its interfaces, and this process keeps their tables. It runs within the
 * daemon. Programs and tables are pinned: when the daemon goes, forwarding goes on, and the next daemon adopts it.
 */
import type { BpfProgram } from '../../platform/bpf/bpf-program.ts';
import { isRouter } from '../../platform/forwarding.ts';
import { Netlink } from '../../platform/netlink.ts';
import type { Family } from '../../util/ip.ts';
import { serviceFamily } from '../../director/table.ts';
import type { Verb } from '../../director/verbs.ts';
import type { ConnectionPart } from '../child-protocol.ts';
import type {
  AdoptedTable,
  Engine,
  EngineEvents,
  EngineReport,
  TableFill,
  TakeConnections,
} from '../engine.ts';
import { zeroCounters } from '../engine.ts';
import { unpackReport } from '../packed-report.ts';
import { readVsSettings } from '../vs-settings.ts';
import type { AttachMode } from './attach-choice.ts';
import { Attachments } from './attachments.ts';
import { Crowding } from './crowding.ts';
import { Drops } from './drops.ts';
import { tableFills } from './fill.ts';
import { Host } from './host.ts';
import { loadPinned, removePinned } from './load-pinned.ts';
import { MarkKeeper } from './mark-keeper.ts';
import type { PinnedDirector } from './pinned-programs.ts';
import { Pins } from './pins.ts';
import { refusal } from './refusal.ts';
import { EbpfTable } from './table.ts';
import { monotonicTicks } from './ticks.ts';

export interface EbpfOptions {
  /** Names the pins: `instanceName` of the control socket. */
  readonly instance: string;
  readonly attach: AttachMode;
  /** How many connections of IPv4 there is to be room for; undefined for the usual number. */
  readonly connections: number | undefined;
  /** `conn_reuse_mode=0` and the like; see {@link VsSettings}. */
  readonly sysctls: readonly string[];
  /** Tunnels lower the largest segment that a SYN tells, to what has room in them. */
  readonly mssClamp?: boolean;
  /** The compiled programs; without it those that are beside this file. */
  readonly object?: string;
}

/** Milliseconds between looks at what has changed on this host, and so many times what the last look took. */
const beat = 250;
const rest = 20;
const second = 1000;
/** Milliseconds over which complaints are gathered into one log line. */
const window = 5000;

/** @throws with a message for people when a setting is none */
export function createEbpf(events: EngineEvents, options: EbpfOptions): Engine {
  readVsSettings(options.sysctls.join(' '));
  return new EbpfEngine(events, options);
}

class EbpfEngine implements Engine {
  readonly name = 'ebpf';
  readonly refuses = refusal;
  readonly #events: EngineEvents;
  readonly #options: EbpfOptions;
  readonly #pins: Pins;
  #running: Running | undefined;
  #batch: Verb[] = [];

  constructor(events: EngineEvents, options: EbpfOptions) {
    this.#events = events;
    this.#options = options;
    this.#pins = new Pins(options.instance);
  }

  /** Without a pause: whoever asks for the listing meanwhile waits until the table is adopted. */
  start(): Promise<AdoptedTable | undefined> {
    return new Promise((resolve) => {
      resolve(this.#start());
    });
  }

  #start(): AdoptedTable | undefined {
    const found = this.#pins.exist;
    try {
      const director = loadPinned(this.#pins, this.#options, this.#events);
      this.#running = new Running(director, this.#pins, this.#options, this.#events);
      const adopted = this.#running.begin();
      return found && adopted.services.length > 0 ? adopted : undefined;
    } catch (error) {
      this.#running?.end();
      this.#running = undefined;
      // what forwards already goes on
      if (!found) removePinned(this.#pins, this.#events);
      throw error;
    }
  }

  /** Verbs of one turn are applied together: no packet meets a table that was meant to be momentary. */
  apply(verb: Verb): void {
    if (this.#batch.length === 0) setImmediate(this.#flush);
    this.#batch.push(verb);
  }

  async settled(): Promise<void> {
    this.#flush();
    await this.#running?.marks.settled();
  }

  report(): Promise<EngineReport> {
    this.#flush();
    if (this.#running === undefined) return Promise.resolve({ services: [], totals: zeroCounters });
    return Promise.resolve(unpackReport(this.#running.table.report()));
  }

  async connections(take: TakeConnections): Promise<void> {
    this.#flush();
    for (let from: number | undefined = 0; from !== undefined;) {
      const part: ConnectionPart | undefined = this.#running?.table.part(monotonicTicks(), from);
      if (part === undefined) return;
      await take(part.connections);
      from = part.next;
      // others have their turn between two parts
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  tables(): readonly TableFill[] {
    return this.#running?.fill() ?? [];
  }

  /** While there are services, forwarding goes on: a configuration with `cleanstop=yes` has deleted its own by now. */
  stop(): Promise<number> {
    this.#flush();
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return Promise.resolve(0);
    const { table, attachments } = running;
    const services = table.services().length;
    const closed = services > 0 ? 0 : table.established();
    if (services > 0)
      this.#events.info(`${services} services stay: the kernel goes on forwarding without a daemon`);
    else {
      attachments.detach();
      table.dismissOwnPackets();
    }
    running.end();
    if (services === 0) this.#pins.remove();
    return Promise.resolve(closed);
  }

  readonly #flush = (): void => {
    const verbs = this.#batch;
    this.#batch = [];
    if (verbs.length > 0) this.#running?.apply(verbs);
  };
}

/** What there is between start and stop. */
class Running {
  readonly table: EbpfTable;
  readonly attachments: Attachments;
  readonly marks: MarkKeeper;
  readonly #director: PinnedDirector;
  readonly #host: Host;
  readonly #netlink = new Netlink();
  readonly #drops: Drops;
  readonly #crowding: Crowding;
  readonly #events: EngineEvents;
  readonly #saidFamilies = new Set<Family>();
  readonly #timers: NodeJS.Timeout[] = [];
  #nextLook = 0;

  constructor(director: PinnedDirector, pins: Pins, options: EbpfOptions, events: EngineEvents) {
    const problem = (message: string): void => {
      events.problem(message);
    };
    const info = (message: string): void => {
      events.info(message);
    };
    this.#events = events;
    this.#director = director;
    this.#netlink.subscribe();
    this.table = new EbpfTable({
      director,
      size: director.sizes,
      settings: readVsSettings(options.sysctls.join(' ')),
      mssClamp: options.mssClamp ?? false,
      problem,
      serverComes: (slot) => {
        this.#host.placeServer(slot);
      },
    });
    this.#host = new Host({
      director,
      netlink: this.#netlink,
      problem,
    });
    this.attachments = new Attachments({
      xdp: director.program('xdp_director'),
      tc: director.program('tc_director'),
      pins,
      instance: options.instance,
      mode: options.attach,
      problem,
      info,
    });
    this.#drops = new Drops(director.map('drops'));
    this.#crowding = new Crowding(this.fill());
    this.marks = new MarkKeeper({ director, services: () => this.table.marks(), problem });
  }

  /** @returns the table that it goes on with */
  begin(): AdoptedTable {
    startSweep(this.#director.program('sweep_start'));
    this.#admitOwnPackets();
    this.#refreshHost();
    this.#director.keepOnlyThis();
    this.#events.info(`the ebpf engine is on ${this.attachments.describe()}`);
    const every = (milliseconds: number, what: () => void): void => {
      this.#timers.push(setInterval(what, milliseconds));
    };
    every(beat, () => {
      if (performance.now() >= this.#nextLook && this.#netlink.changed()) this.#refreshHost();
    });
    every(second, () => {
      this.table.forgetRemains();
    });
    every(window, () => {
      const silent = this.table.unanswered((server, client) => this.#host.bypass(server, client));
      const crowded = this.#crowding.news(this.fill(), performance.now());
      for (const message of [...silent, ...this.#drops.news(), ...crowded]) this.#events.problem(message);
      this.marks.check();
    });
    const adopted = this.table.adopt();
    for (const { id } of adopted.services) this.#checkRouting(serviceFamily(id));
    this.marks.servicesChanged();
    return adopted;
  }

  apply(verbs: readonly Verb[]): void {
    this.#host.forgetPlaces();
    this.table.apply(verbs);
    for (const verb of verbs)
      if (verb.verb === 'add-service') this.#checkRouting(serviceFamily(verb.service));
    if (verbs.some(changesMarks)) this.marks.servicesChanged();
  }

  fill(): readonly TableFill[] {
    return tableFills(this.#director.view('settings'), (name) => this.#director.map(name).maxEntries);
  }

  /** Lets go of everything; what is attached and pinned stays. */
  end(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.marks.close();
    this.attachments.close();
    this.#netlink.close();
    this.#director.close();
  }

  #admitOwnPackets(): void {
    try {
      this.table.admitOwnPackets();
    } catch (error) {
      const why = (error as Error).message;
      this.#events.problem(`programs on this host cannot be clients of IPv4 services: ${why}`);
    }
  }

  #refreshHost(): void {
    const began = performance.now();
    const links = this.#netlink.links();
    this.attachments.refresh(links);
    this.#host.refresh(links, this.attachments.redirectable());
    this.marks.setInterfaces(links);
    const now = performance.now();
    this.#nextLook = now + rest * (now - began);
  }

  /** Said once for each family. */
  #checkRouting(family: Family): void {
    const { version, setting } = forwarding[family];
    if (this.#saidFamilies.has(family) || isRouter(version)) return;
    this.#saidFamilies.add(family);
    this.#events.problem(
      `${setting} is 0: the kernel finds no next hop for what is to be forwarded: sysctl -w ${setting}=1`,
    );
  }
}

const forwarding = {
  inet: { version: 4, setting: 'net.ipv4.ip_forward' },
  inet6: { version: 6, setting: 'net.ipv6.conf.all.forwarding' },
} as const;

function changesMarks(verb: Verb): boolean {
  if (verb.verb === 'flush') return true;
  return (verb.verb === 'add-service' || verb.verb === 'delete-service') && verb.service.kind === 'fwmark';
}

/** From here on expiry goes on by itself, without the daemon. */
function startSweep(program: BpfProgram): void {
  const { returnValue } = program.testRun({ data: Buffer.alloc(64) });
  if (returnValue !== 0) throw new Error(`the ebpf engine's timer does not start (${returnValue})`);
}
