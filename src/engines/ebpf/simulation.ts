/**
 * Asks the program in the kernel what it would do with a packet: the pinned program `simulate` answers in the packet's place, and
 * changes nothing. No daemon needs to run.
 */
import { stateName } from '../../connections/tcp-states.ts';
import { TCP, UDP } from '../../connections/protocols.ts';
import type { Destination, ServiceId } from '../../director/table.ts';
import { BpfMap } from '../../platform/bpf/bpf-map.ts';
import { BpfProgram } from '../../platform/bpf/bpf-program.ts';
import { NONE, Pool } from '../../scheduling/pool.ts';
import { schedulerAt } from '../../scheduling/registry.ts';
import type { Address } from '../../util/ip.ts';
import { addressBytes, familyOf, formatAddress } from '../../util/ip.ts';
import { overhead } from '../../wire/encapsulation.ts';
import { ipHeaderLength, sealIpv4, writeIpHeader } from '../../wire/ip-header.ts';
import { dropWords } from './drops.ts';
import { noSlot, outcomes, passings, Settings, Simulated } from './layout.ts';
import { pinnedSizes } from './pinned-table.ts';
import type { Pins } from './pins.ts';
import { ServerRecords } from './server-records.ts';
import { ServiceRules } from './service-rules.ts';
import { secondsOf } from './ticks.ts';

export interface MadePacket {
  readonly protocol: 'tcp' | 'udp';
  readonly source: Address;
  readonly sourcePort: number;
  readonly target: Address;
  readonly targetPort: number;
  /** Of TCP, as in its header: 2 is SYN. */
  readonly flags: number;
  readonly interfaceIndex: number;
  /** Of that interface; empty where it has none. */
  readonly mac: Uint8Array;
}

/** Why the kernel knows no way, by BPF_FIB_LKUP_RET_*. */
const noWays: ReadonlyMap<number, string> = new Map([
  [1, 'a blackhole route'],
  [2, 'an unreachable route, or none'],
  [3, 'a prohibit route'],
  [5, 'packets that come in there are not forwarded'],
  [6, 'a route with an encapsulation of its own'],
  [8, 'too large for the route'],
  [9, 'this host has no address to send from'],
]);

export interface NextHop {
  readonly interfaceIndex: number;
  /** Bytes of the longest packet that leaves there. */
  readonly mtu: number;
  /** Bytes of it that a tunnel's headers take. */
  readonly overhead: number;
  /** The gateway, or whoever the packet is for. */
  readonly address: Address;
  /** Undefined: nobody has asked for it yet, or nobody answers. */
  readonly mac: string | undefined;
}

/** Where a packet goes: to this host's own programs, to a next hop, or nowhere. */
export type Way =
  | { readonly kind: 'local' }
  | { readonly kind: 'hop'; readonly hop: NextHop }
  | { readonly kind: 'none'; readonly reason: string };

export interface Load {
  readonly weight: number;
  readonly active: number;
  readonly inactive: number;
  readonly overloaded: boolean;
}

export interface Answer {
  /** `unknown`: the server hangs on data that the packet would have. */
  readonly outcome: (typeof outcomes)[number] | 'unknown';
  /** Of a drop: why. */
  readonly dropped: string | undefined;
  /** Of a packet that is left to this host. */
  readonly passed: (typeof passings)[number] | undefined;
  /** That the packet filter gives it, 0 for none. */
  readonly mark: number;
  readonly service: ServiceId | undefined;
  readonly scheduler: string | undefined;
  readonly destination: (Destination & Load) | undefined;
  /** Port that the packet gets: the server's, of a reply the service's. */
  readonly port: number;
  /** Source address that a reply gets. */
  readonly virtual: Address | undefined;
  readonly connection: { readonly state: string; readonly seconds: number } | undefined;
  /** A connection that there is ends with this packet. */
  readonly ends: boolean;
  /** Seconds that the client's persistence template has left; 0 where connections keep it. */
  readonly template: number | undefined;
  readonly way: Way | undefined;
  /** With the sysctl drop_packet: of how many new connections one is dropped, and which is the next, 1 for this one. */
  readonly dropPacket: { readonly rate: number; readonly next: number } | undefined;
  /** Of a refusal: what each server of the service is like. */
  readonly servers: readonly Load[];
}

/** @throws BpfError, of code ENOENT when nothing is pinned */
export function simulate(pins: Pick<Pins, 'map' | 'program'>, made: MadePacket): Answer {
  const program = BpfProgram.openPinned(pins.program('simulate'));
  try {
    const { returnValue, data } = program.testRun({ data: frameOf(made), context: contextOf(made) });
    if (returnValue !== 0) throw new Error(`the program simulate gave no answer (${returnValue})`);
    return new Reader(pins, made, data).answer();
  } finally {
    program.close();
  }
}

const ethernetHeader = 14;
const transportHeader = { tcp: 20, udp: 8 } as const;
/** Room for the answer. */
const frameBytes = 256;

function frameOf({ protocol, source, sourcePort, target, targetPort, flags, mac }: MadePacket): Buffer {
  const frame = Buffer.alloc(frameBytes);
  const family = familyOf(source) === 'inet' ? 4 : 6;
  const transport = ethernetHeader + ipHeaderLength(family);
  const length = transportHeader[protocol];
  frame.set(mac.subarray(0, 6), 0);
  frame.writeUInt16BE(family === 4 ? 0x0800 : 0x86dd, 12);
  const ends = { family, source: words(source), destination: words(target) } as const;
  writeIpHeader(frame, ethernetHeader, ends, protocol === 'tcp' ? TCP : UDP, length, 64, 0);
  if (family === 4) sealIpv4(frame, ethernetHeader, ipHeaderLength(4), 0, 0);
  frame.writeUInt16BE(sourcePort, transport);
  frame.writeUInt16BE(targetPort, transport + 2);
  if (protocol === 'tcp') {
    frame.writeUInt8(0x50, transport + 12);
    frame.writeUInt8(flags, transport + 13);
  } else frame.writeUInt16BE(length, transport + 4);
  return frame;
}

/** struct __sk_buff: which interface it came in by. */
function contextOf({ interfaceIndex }: MadePacket): Buffer {
  const context = Buffer.alloc(192);
  context.writeUInt32LE(interfaceIndex, 36);
  context.writeUInt32LE(interfaceIndex, 40);
  return context;
}

function words(address: Address): Int32Array {
  const bytes = Buffer.alloc(16);
  bytes.set(addressBytes(address));
  return Int32Array.from({ length: 4 }, (_, i) => bytes.readInt32BE(4 * i));
}

/** The answer with names instead of slots. */
class Reader {
  readonly #made: MadePacket;
  readonly #data: Buffer;
  readonly #pool: Pool;
  readonly #rules: ServiceRules;
  readonly #servers: ServerRecords;
  readonly #settings: DataView;

  constructor(pins: Pick<Pins, 'map'>, made: MadePacket, data: Buffer) {
    const sizes = pinnedSizes(pins);
    if (sizes === undefined) throw new Error('the tables are gone');
    this.#made = made;
    this.#data = data;
    this.#pool = new Pool(view(pins, 'pool'), sizes);
    this.#rules = new ServiceRules(view(pins, 'rules'), sizes.services);
    this.#servers = new ServerRecords(view(pins, 'servers'));
    this.#settings = new DataView(view(pins, 'settings'));
  }

  answer(): Answer {
    const outcome = this.#outcome();
    const service = this.#slot(Simulated.service);
    const server = this.#slot(Simulated.server);
    const known = service === undefined ? undefined : this.#rules.read(service, this.#pool);
    const left = (at: number): number => Math.max(0, Math.floor(secondsOf(this.#data.readInt32LE(at))));
    const isKnown = outcome === 'connection' || outcome === 'reply';
    const protocol = this.#made.protocol === 'tcp' ? TCP : UDP;
    const reason = this.#word(Simulated.reason);
    return {
      outcome,
      dropped: outcome === 'drop' ? (dropWords[reason] ?? `reason ${reason}`) : undefined,
      passed: outcome === 'pass' ? passings[reason] : undefined,
      mark: this.#word(Simulated.mark),
      service: known?.id,
      scheduler: service === undefined ? undefined : schedulerAt(this.#pool.scheduler(service)).name,
      destination: server === undefined ? undefined : this.#destination(server),
      port: this.#word(Simulated.port),
      virtual:
        outcome === 'reply' ? this.#address(Simulated.address, familyOf(this.#made.target)) : undefined,
      connection: isKnown
        ? { state: stateName(protocol, this.#word(Simulated.state)), seconds: left(Simulated.left) }
        : undefined,
      ends: this.#word(Simulated.ended) !== 0,
      template: this.#word(Simulated.hasTemplate) === 0 ? undefined : left(Simulated.templateLeft),
      way: this.#way(server),
      dropPacket: opening.has(outcome) ? this.#dropPacket() : undefined,
      servers: outcome === 'refuse' && service !== undefined ? this.#serversOf(service) : [],
    };
  }

  #outcome(): Answer['outcome'] {
    const outcome = outcomes[this.#word(Simulated.outcome)] ?? 'pass';
    const reason = dropWords[this.#word(Simulated.reason)];
    return outcome === 'drop' && reason === noEngineData ? 'unknown' : outcome;
  }

  #dropPacket(): Answer['dropPacket'] {
    const word = (at: number): number => this.#settings.getInt32(at, true);
    if (word(Settings.dropPacket) !== always) return undefined;
    return { rate: word(Settings.amDroprate), next: Math.max(1, word(Settings.untilDrop)) };
  }

  /** Of the tunnel to the server that the packet goes to. */
  #overhead(slot: number | undefined): number {
    const destination = slot === undefined ? undefined : this.#servers.read(slot, this.#pool);
    if (destination?.forwarding !== 'ipip' || this.#word(Simulated.method) !== tunnelMethod) return 0;
    const { id, tunnel } = destination;
    const family = familyOf(id.address) === 'inet' ? 4 : 6;
    return overhead({ kind: tunnel.type, family, checksum: tunnel.checksum !== 'nocsum' });
  }

  #way(server: number | undefined): Way | undefined {
    const route = this.#data.readInt32LE(Simulated.route);
    if (route === -1) return undefined;
    if (route === localRoute) return { kind: 'local' };
    if (route !== 0) return { kind: 'none', reason: noWays.get(route) ?? `answer ${route} of the kernel` };
    const mac = this.#data.subarray(Simulated.to, Simulated.to + 6);
    const family = this.#word(Simulated.nextFamily) === 4 ? 'inet' : 'inet6';
    const hop = {
      interfaceIndex: this.#word(Simulated.interface),
      mtu: this.#word(Simulated.mtu),
      overhead: this.#overhead(server),
      address: this.#address(Simulated.next, family),
      mac:
        this.#word(Simulated.knowsNeighbour) === 0
          ? undefined
          : Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':'),
    };
    return { kind: 'hop', hop };
  }

  #destination(slot: number): (Destination & Load) | undefined {
    const destination = this.#servers.read(slot, this.#pool);
    return destination && { ...destination, ...this.#load(slot) };
  }

  #serversOf(service: number): Load[] {
    const loads: Load[] = [];
    for (let slot = this.#pool.head(service); slot !== NONE; slot = this.#pool.next(slot))
      loads.push(this.#load(slot));
    return loads;
  }

  #load(slot: number): Load {
    return {
      weight: this.#pool.weight(slot),
      active: this.#pool.active(slot),
      inactive: this.#pool.inactive(slot),
      overloaded: !this.#pool.usable(slot),
    };
  }

  #word(at: number): number {
    return this.#data.readUInt32LE(at);
  }

  #slot(at: number): number | undefined {
    const slot = this.#word(at);
    return slot === noSlot ? undefined : slot;
  }

  #address(at: number, family: 'inet' | 'inet6'): Address {
    return formatAddress(this.#data.subarray(at, at + (family === 'inet' ? 4 : 16)));
  }
}

const noEngineData: (typeof dropWords)[number] = 'without what the persistence engine looks for';

/** What drop_packet is asked about: packets that find a service, and no connection. */
const opening: ReadonlySet<Answer['outcome']> = new Set(['new', 'one-packet', 'refuse', 'unknown']);

/** Of drop_packet: IPVS's other modes drop when memory runs out, and here it cannot. */
const always = 3;

/** enum method */
const tunnelMethod = 2;

/** BPF_FIB_LKUP_RET_NOT_FWDED */
const localRoute = 4;

function view(pins: Pick<Pins, 'map'>, name: string): ArrayBuffer {
  const map = BpfMap.openPinned(pins.map(name));
  try {
    return map.view();
  } finally {
    map.close();
  }
}
