/** The one record of what BPF programs go by besides services: which rarer lookups are worth while, timeouts, and IPVS's knobs. */
import { ConnectionTimeouts } from '../../connections/timeouts.ts';
import { TCP, UDP } from '../../connections/protocols.ts';
import { tcpStateNames, TcpState } from '../../connections/tcp-states.ts';
import type { ServiceId, ServiceSettings, Timeouts } from '../../director/table.ts';
import { serviceFamily } from '../../director/table.ts';
import { FTP } from '../service-facts.ts';
import type { VsSettings } from '../vs-settings.ts';
import { Settings } from './layout.ts';
import { secondsOf, ticksOf } from './ticks.ts';

const vsOffsets = {
  conn_reuse_mode: Settings.connReuseMode,
  expire_nodest_conn: Settings.expireNodestConn,
  expire_quiescent_template: Settings.expireQuiescentTemplate,
  sloppy_tcp: Settings.sloppyTcp,
  pmtu_disc: Settings.pmtuDisc,
  nat_icmp_send: Settings.natIcmpSend,
  secure_tcp: Settings.secureTcp,
  drop_packet: Settings.dropPacket,
  am_droprate: Settings.amDroprate,
} as const satisfies Record<keyof VsSettings, number>;

const counters = [
  Settings.services4,
  Settings.services6,
  Settings.marks,
  Settings.ftp,
  Settings.everyPort,
  Settings.engines,
] as const;

export class DirectorSettings {
  readonly #view: DataView;
  readonly #timeouts: ConnectionTimeouts;

  /** @param memory of the map `settings`; timeouts that are in it stay as they are */
  constructor(memory: ArrayBuffer) {
    this.#view = new DataView(memory);
    const known = this.#word(Settings.udpTimeout) !== 0;
    this.#timeouts = new ConnectionTimeouts(known ? this.timeouts() : undefined);
    this.#writeTimeouts();
  }

  setVsSettings(settings: VsSettings): void {
    for (const [name, at] of Object.entries(vsOffsets))
      this.#set(at, settings[name as keyof typeof vsOffsets]);
  }

  setTimeouts(timeouts: Timeouts): void {
    this.#timeouts.set(timeouts);
    this.#writeTimeouts();
  }

  /** Seconds. */
  timeouts(): Timeouts {
    const seconds = (at: number): number => Math.round(secondsOf(this.#word(at)));
    return {
      tcp: seconds(tcpTimeout(TcpState.established)),
      tcpFin: seconds(tcpTimeout(TcpState.finWait)),
      udp: seconds(Settings.udpTimeout),
    };
  }

  /** Counts a service in (1) or out (-1) of what packets may have to be looked up for. */
  count(id: ServiceId, settings: ServiceSettings, change: 1 | -1): void {
    const add = (at: number): void => {
      this.#set(at, this.#word(at) + change);
    };
    add(serviceFamily(id) === 'inet' ? Settings.services4 : Settings.services6);
    if (settings.persistenceEngine !== '') add(Settings.engines);
    if (id.kind === 'fwmark') add(Settings.marks);
    else if (id.port === 0) add(Settings.everyPort);
    else if (id.port === FTP && id.protocol === 'tcp') add(Settings.ftp);
  }

  /** Counts these and no others. */
  recount(services: Iterable<{ readonly id: ServiceId; readonly settings: ServiceSettings }>): void {
    const before = counters.map((at) => this.#word(at));
    for (const { id, settings } of services) this.count(id, settings, 1);
    counters.forEach((at, i) => {
      this.#set(at, this.#word(at) - (before[i] ?? 0));
    });
  }

  /** SYNs through tunnels are told the largest segment that has room in them. */
  set mssClamp(on: boolean) {
    this.#set(Settings.mssClamp, Number(on));
  }

  /** Whether a daemon changed `accept_local` of this host's loopback. */
  get ownPackets(): boolean {
    return this.#word(Settings.ownPackets) !== 0;
  }

  set ownPackets(changed: boolean) {
    this.#set(Settings.ownPackets, Number(changed));
  }

  #writeTimeouts(): void {
    for (const state of tcpStateNames.keys())
      this.#set(tcpTimeout(state), ticksOf(this.#timeouts.of(TCP, state)));
    this.#set(Settings.newTcpTimeout, ticksOf(this.#timeouts.ofNew(TCP)));
    this.#set(Settings.udpTimeout, ticksOf(this.#timeouts.of(UDP, 0)));
  }

  #word(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #set(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }
}

function tcpTimeout(state: number): number {
  return Settings.tcpTimeouts + 4 * state;
}
