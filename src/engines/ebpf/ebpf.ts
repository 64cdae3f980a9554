/**
 * The ebpf engine: the kernel forwards, by programs on its interfaces, and this process keeps their tables. It runs within the
 * daemon. Programs and tables are pinned: when the daemon goes, forwarding goes on, and the next daemon adopts it.
 */
import { BpfMap } from '../../platform/bpf/bpf-map.ts';
import { PinMismatchError } from '../../platform/bpf/bpf-object.ts';
import { ensureBpffs } from '../../platform/bpf/bpffs.ts';
import { probeBpf } from '../../platform/bpf/probe.ts';
import { isRouter } from '../../platform/forwarding.ts';
import { Netlink } from '../../platform/netlink.ts';
import { serviceFamily } from '../../director/table.ts';
import type { Verb } from '../../director/verbs.ts';
import type { AdoptedTable, Engine, EngineEvents, EngineReport, TakeConnections } from '../engine.ts';
import { unpackReport } from '../packed-report.ts';
import { readVsSettings } from '../vs-settings.ts';
import type { AttachMode } from './attach-choice.ts';
import { Attachments, detachFilters } from './attachments.ts';
import { Drops } from './drops.ts';
import { Host } from './host.ts';
import { Server, Settings } from './layout.ts';
import { pinnedSizes, sizesFor } from './pinned-sizes.ts';
import { bpffs, Pins } from './pins.ts';
import type { LoadedDirector } from './program.ts';
import { loadDirector } from './program.ts';
import { refusal } from './refusal.ts';
import { EbpfTable } from './table.ts';
import type { TableSizes } from './table-sizes.ts';
import { bucketCounts } from './table-sizes.ts';
import { monotonicTicks } from './ticks.ts';

export interface EbpfOptions {
  /** Names the pins: `instanceName` of the control socket. */
  readonly instance: string;
  readonly attach: AttachMode;
  /** How many connections of IPv4 there is to be room for; undefined for the usual number. */
  readonly connections: number | undefined;
  /** `conn_reuse_mode=0` and the like; see {@link VsSettings}. */
  readonly sysctls: readonly string[];
}

/** Milliseconds between looks at what has changed on this host. */
const beat = 250;
/** Milliseconds over which complaints are gathered into one log line. */
const window = 5000;

/** @throws with a message for people when a setting is none */
export function createEbpf(events: EngineEvents, options: EbpfOptions): Engine {
  readVsSettings(options.sysctls.join(' '));
  return new EbpfEngine(events, options);
}

/** Ends the forwarding that a daemon left in place. */
export function removeEbpf(instance: string, events: EngineEvents): void {
  const own = new Pins(instance);
  for (const pins of [own, ...own.otherLayouts()].filter(({ exist }) => exist)) {
    events.info(`The ebpf engine forwarded here without a daemon: ended${lost(pins)}`);
    const netlink = new Netlink();
    detachFilters(netlink.links(), instance);
    netlink.close();
    pins.remove();
  }
}

/** What there is while it runs. */
interface Running {
  readonly director: LoadedDirector;
  readonly table: EbpfTable;
  readonly host: Host;
  readonly attachments: Attachments;
  readonly netlink: Netlink;
  readonly drops: Drops;
}

class EbpfEngine implements Engine {
  readonly name = 'ebpf';
  readonly refuses = refusal;
  readonly #events: EngineEvents;
  readonly #options: EbpfOptions;
  readonly #pins: Pins;
  #running: Running | undefined;
  #batch: Verb[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #saidFamilies = new Set<string>();

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
    const usable = probeBpf();
    if (!usable.available) throw new Error(`the ebpf engine cannot run: ${usable.reason}`);
    if (ensureBpffs(bpffs())) this.#events.info(`mounted the BPF file system on ${bpffs()}`);
    const found = this.#pins.exist;
    try {
      const director = this.#load();
      this.#running = this.#compose(director);
    } catch (error) {
      // what forwards already goes on
      if (!found) this.#pins.remove();
      throw error;
    }
    const { table, attachments } = this.#running;
    const adopted = found ? table.adopt() : undefined;
    for (const other of this.#pins.otherLayouts()) {
      this.#events.problem(`the table of another version of directord cannot be gone on with${lost(other)}`);
      other.remove();
    }
    this.#refreshHost();
    this.#events.info(`the ebpf engine is on ${attachments.describe()}`);
    this.#timers.push(
      setInterval(this.#look, beat).unref(),
      setInterval(() => {
        table.forgetRemains();
      }, 1000).unref(),
      setInterval(this.#tellDrops, window).unref(),
    );
    for (const { id } of adopted?.services ?? []) this.#checkRouting(serviceFamily(id));
    return adopted === undefined || adopted.services.length === 0 ? undefined : adopted;
  }

  /** Verbs of one turn are applied together: no packet meets a table that was meant to be momentary. */
  apply(verb: Verb): void {
    if (this.#batch.length === 0) setImmediate(this.#flush);
    this.#batch.push(verb);
  }

  settled(): Promise<void> {
    this.#flush();
    return Promise.resolve();
  }

  report(): Promise<EngineReport> {
    this.#flush();
    const empty = {
      services: [],
      totals: { connections: 0, inPackets: 0, outPackets: 0, inBytes: 0, outBytes: 0 },
    };
    return Promise.resolve(this.#running === undefined ? empty : unpackReport(this.#running.table.report()));
  }

  async connections(take: TakeConnections): Promise<void> {
    this.#flush();
    for (let from: number | undefined = 0; from !== undefined;) {
      const { connections, next }: ReturnType<EbpfTable['part']> = this.#running?.table.part(now(), from) ?? {
        connections: [],
      };
      await take(connections);
      from = next;
      // others have their turn between two parts
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** While there are services, forwarding goes on: a configuration with `cleanstop=yes` has deleted its own by now. */
  stop(): Promise<number> {
    this.#flush();
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return Promise.resolve(0);
    const { table, attachments, director, netlink } = running;
    const stays = table.services().length;
    const closed = stays > 0 ? 0 : table.established();
    if (stays > 0) {
      this.#events.info(`${stays} services stay: the kernel goes on forwarding without a daemon`);
      attachments.close();
    } else {
      attachments.detach();
      this.#pins.remove();
    }
    netlink.close();
    director.close();
    return Promise.resolve(closed);
  }

  // ---- beginning

  #load(): LoadedDirector {
    const wanted = sizesFor(this.#options.connections);
    const present = this.#pins.exist ? pinnedSizes(this.#pins) : undefined;
    if (present !== undefined && this.#options.connections !== undefined) this.#compareRoom(wanted, present);
    this.#pins.prepare();
    try {
      return loadDirector({ sizes: present ?? wanted, pins: this.#pins.directory });
    } catch (error) {
      if (!(error instanceof PinMismatchError)) throw error;
      this.#events.problem(
        `the table in the kernel cannot be gone on with${lost(this.#pins)}: ${error.message}`,
      );
    }
    this.#pins.remove();
    this.#pins.prepare();
    return loadDirector({ sizes: wanted, pins: this.#pins.directory });
  }

  #compareRoom(wanted: TableSizes, present: TableSizes): void {
    if (JSON.stringify(bucketCounts(wanted)) === JSON.stringify(bucketCounts(present))) return;
    this.#events.problem(
      `--connections ${wanted.connections[4]}: the table that is gone on with has room for ${present.connections[4]}; another size needs a stop with cleanstop=yes`,
    );
  }

  #compose(director: LoadedDirector): Running {
    const problem = (message: string): void => {
      this.#events.problem(message);
    };
    const info = (message: string): void => {
      this.#events.info(message);
    };
    const netlink = new Netlink();
    netlink.subscribe();
    const table = new EbpfTable({
      director,
      size: director.sizes,
      settings: readVsSettings(this.#options.sysctls.join(' ')),
      problem,
    });
    const host = new Host({
      netlink,
      ownAddresses: director.map('own_addresses'),
      interfaces: director.map('interfaces'),
      servers: new DataView(director.view('servers'), 0, director.sizes.destinations * Server.bytes),
    });
    const attachments = new Attachments({
      xdp: director.program('xdp_director'),
      tc: director.program('tc_director'),
      pins: this.#pins,
      instance: this.#options.instance,
      mode: this.#options.attach,
      problem,
      info,
    });
    startSweep(director);
    return { director, table, host, attachments, netlink, drops: new Drops(director.map('drops')) };
  }

  // ---- going on

  readonly #flush = (): void => {
    const verbs = this.#batch;
    this.#batch = [];
    if (verbs.length === 0 || this.#running === undefined) return;
    const { table, host } = this.#running;
    table.apply(verbs);
    const servers = new Set(
      verbs.flatMap((verb) => ('destination' in verb ? [verb.destination.address] : [])),
    );
    if (servers.size > 0) host.refreshServers(servers);
    for (const verb of verbs)
      if (verb.verb === 'add-service') this.#checkRouting(serviceFamily(verb.service));
  };

  readonly #look = (): void => {
    if (this.#running?.netlink.changed() === true) this.#refreshHost();
  };

  #refreshHost(): void {
    if (this.#running === undefined) return;
    const { netlink, attachments, host } = this.#running;
    const links = netlink.links();
    // programs that begin somewhere know the host already
    host.refresh(links, attachments.redirectable());
    attachments.refresh(links);
    host.refresh(links, attachments.redirectable());
  }

  /** Once for each family. */
  #checkRouting(family: 'inet' | 'inet6'): void {
    const [number, setting] =
      family === 'inet'
        ? ([4, 'net.ipv4.ip_forward'] as const)
        : ([6, 'net.ipv6.conf.all.forwarding'] as const);
    if (this.#saidFamilies.has(family) || isRouter(number)) return;
    this.#saidFamilies.add(family);
    this.#events.problem(
      `${setting} is 0: the kernel finds no next hop for what is to be forwarded: sysctl -w ${setting}=1`,
    );
  }

  readonly #tellDrops = (): void => {
    for (const message of this.#running?.drops.news() ?? []) this.#events.problem(message);
  };
}

function now(): number {
  return monotonicTicks();
}

/** Expiry goes on by itself from here, without the daemon. */
function startSweep(director: LoadedDirector): void {
  director.program('sweep_start').testRun({ data: Buffer.alloc(64) });
}

/** `: 12 connections of it are lost`; nothing when it had none, or cannot be asked. */
function lost(pins: Pins): string {
  const entries = connectionsIn(pins);
  return entries === 0 ? '' : `: ${entries} entries of its connection tables are lost`;
}

function connectionsIn(pins: Pins): number {
  try {
    const settings = BpfMap.openPinned(pins.map('settings'));
    const value = settings.lookup(Buffer.alloc(4));
    settings.close();
    if (value?.length !== Settings.bytes) return 0;
    return [0, 1, 3, 4].reduce((sum, at) => sum + value.readUInt32LE(Settings.used + 4 * at), 0);
  } catch {
    return 0;
  }
}
