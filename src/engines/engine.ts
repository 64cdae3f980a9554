/**
 * The contract between the director and whatever moves packets or bytes. The director applies a verb to its table and
 * hands it to the engine; the engine forwards accordingly and answers with counters and connections.
 */
import type {
  DestinationId,
  DestinationSettings,
  Protocol,
  ServiceId,
  ServiceSettings,
  Timeouts,
  VirtualService,
} from '../director/table.ts';
import type { Verb } from '../director/verbs.ts';
import type { Address } from '../util/ip.ts';

export type EngineName = 'relay' | 'packet' | 'ebpf';

/** A table that forwarded before the daemon was there. */
export interface AdoptedTable {
  readonly services: readonly VirtualService[];
  readonly timeouts: Timeouts;
}

export interface Engine {
  readonly name: EngineName;
  /**
   * Ready to forward when it resolves. @throws with a message for people when it cannot run on this host.
   * @returns the table that it goes on with, when forwarding never ended; its verbs are not to be applied again
   */
  start(): Promise<AdoptedTable | undefined>;
  /** Takes over one applied verb. Never fails: what it cannot do it reports through {@link EngineEvents.problem}. */
  apply(verb: Verb): void;
  /**
   * Why this engine cannot forward for such a service or destination (naming the directive and an engine that can),
   * or undefined when it can.
   */
  refuses(
    service: ServiceId,
    settings: ServiceSettings,
    destination?: DestinationSettings,
  ): string | undefined;
  /** Resolves when all verbs so far are in force: a connection that is made now meets the table as it is. */
  settled(): Promise<void>;
  report(): Promise<EngineReport>;
  /** Hands over all connections, some at a time: the next when `take` is done with the ones before. */
  connections(take: TakeConnections): Promise<void>;
  /** Of an engine whose tables have a fixed size. */
  tables?(): readonly TableFill[];
  /**
   * Stops forwarding, unless it can go on without a daemon and there still are services. Resolves to the number of open
   * connections that it had to close.
   */
  stop(): Promise<number>;
}

/** How an engine speaks to whoever composed it. */
export interface EngineEvents {
  /** Something an operator must know: a listener that could not be opened, a forwarder that died and was restarted. */
  problem(message: string): void;
  info(message: string): void;
}

export interface Counters {
  readonly connections: number;
  readonly inPackets: number;
  readonly outPackets: number;
  readonly inBytes: number;
  readonly outBytes: number;
}

export const zeroCounters: Counters = {
  connections: 0,
  inPackets: 0,
  outPackets: 0,
  inBytes: 0,
  outBytes: 0,
};

export function addCounters(a: Counters, b: Counters): Counters {
  return {
    connections: a.connections + b.connections,
    inPackets: a.inPackets + b.inPackets,
    outPackets: a.outPackets + b.outPackets,
    inBytes: a.inBytes + b.inBytes,
    outBytes: a.outBytes + b.outBytes,
  };
}

export function subtractCounters(a: Counters, b: Counters): Counters {
  return {
    connections: a.connections - b.connections,
    inPackets: a.inPackets - b.inPackets,
    outPackets: a.outPackets - b.outPackets,
    inBytes: a.inBytes - b.inBytes,
    outBytes: a.outBytes - b.outBytes,
  };
}

export interface DestinationReport {
  readonly id: DestinationId;
  readonly counters: Counters;
  /** Connections in ESTABLISHED, SYN_SENT, SYN_RECV or SYNACK. */
  readonly active: number;
  /** Connections in every other state, and all UDP flows. */
  readonly inactive: number;
  /** Persistence templates. */
  readonly persistent: number;
}

export interface ServiceReport {
  readonly id: ServiceId;
  readonly counters: Counters;
  readonly destinations: readonly DestinationReport[];
}

export interface EngineReport {
  readonly services: readonly ServiceReport[];
  /** Traffic of all services together since the start or the last zeroing of all; that of deleted ones stays in it. */
  readonly totals: Counters;
}

/** How full one of an engine's tables is. */
export interface TableFill {
  readonly family: 4 | 6;
  readonly table: 'connections' | 'half-open connections' | 'persistence templates';
  /** Slots; a connection of NAT has two. As of some seconds ago. */
  readonly used: number;
  readonly slots: number;
  /** Connections that found no room since the tables were made; of persistence templates and half-open ones nobody counts. */
  readonly refused: number;
  /** Connections that stayed among the half-open ones though they were established, since it had no room for them. */
  readonly unpromoted: number;
}

export type TakeConnections = (part: readonly ConnectionEntry[]) => void | Promise<void>;

/** One row of the connection table (`ipvsadm -L -c`). */
export interface ConnectionEntry {
  readonly protocol: Protocol | 'ip';
  readonly state: string;
  /** Seconds until the entry expires. */
  readonly expires: number;
  readonly client: Address;
  readonly clientPort: number;
  readonly virtual: Address;
  readonly virtualPort: number;
  readonly destination: Address;
  readonly destinationPort: number;
  /** Persistence engine and its data (`sip`, the Call-ID) of a template that has one. */
  readonly engineData?: { readonly engine: string; readonly data: string };
}
