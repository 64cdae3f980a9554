/**
 * A flood of packets from made-up sources against a packet engine without I/O that has established connections: which of them are there
 * afterwards and carry packets both ways, what the flood cost, what it left behind.
 */
import { Director } from '../../../src/director/director.ts';
import type { Forwarding } from '../../../src/director/table.ts';
import { ipipTunnel } from '../../../src/director/table.ts';
import { PacketTable } from '../../../src/engines/packet/packet-table.ts';
import { readVsSettings } from '../../../src/engines/vs-settings.ts';
import { addressBytes } from '../../../src/util/ip.ts';
import type { Ends } from './forge.ts';
import { icmp, ip, protocols, put16, sealHeader, tcp, udp } from './forge.ts';
import { FuzzPlace } from './place.ts';

export const floodKinds = [
  'syn',
  'syn persistent',
  'syn ack',
  'udp',
  'udp twice',
  'icmp',
  'fragments',
] as const;
export type FloodKind = (typeof floodKinds)[number];

export interface FloodOptions {
  readonly packets: number;
  readonly established: number;
  readonly limit: number;
  readonly halfOpen: number;
  readonly capacity: number;
  /** Packets a second of the flood, on the clock of the engine. */
  readonly rate: number;
}

export interface FloodOutcome {
  /** Of the established connections: those that carry a packet to the server, and one back. */
  readonly alive: number;
  readonly connections: number;
  readonly halfOpen: number;
  readonly templates: number;
  /** Of both tables. */
  readonly tableBytes: number;
  /** Packets of the flood that got an answer from the engine or were sent on. */
  readonly sent: number;
  /** Of processor time, with and without what making the packets takes. */
  readonly nanoseconds: number;
  /** Whether a new client still gets through. */
  readonly newClient: boolean;
}

const HEADROOM = 64;
const SYN = 0x02;
const ACK = 0x10;
const nothing = new Uint8Array(0);

/** How the packets of each kind are made: a first one, and the virtual endpoint that they go to. */
const floods: Readonly<Record<FloodKind, { readonly packet: Uint8Array; readonly repeats: number }>> = {
  syn: { packet: opening('10.1.0.100', SYN), repeats: 1 },
  'syn persistent': { packet: opening('10.1.0.102', SYN), repeats: 1 },
  'syn ack': { packet: opening('10.1.0.100', SYN), repeats: 2 },
  udp: { packet: query(), repeats: 1 },
  'udp twice': { packet: query(), repeats: 2 },
  icmp: { packet: unreachable(), repeats: 1 },
  fragments: {
    packet: ip(between('10.1.0.100'), protocols.udp, udp(between('10.1.0.100'), 7, 53, new Uint8Array(64)), {
      fragment: 0x2000,
    }),
    repeats: 1,
  },
};

export class FloodLab {
  readonly table: PacketTable;
  readonly #options: FloodOptions;
  readonly #buffer = new Uint8Array(HEADROOM + 2048);
  #now = 1_000_000;
  #sent = 0;
  #last: Uint8Array = nothing;

  constructor(options: FloodOptions) {
    const { limit, halfOpen, capacity } = options;
    this.#options = options;
    this.table = new PacketTable({
      size: { services: 16, destinations: 64 },
      settings: readVsSettings(''),
      limit,
      halfOpen,
      capacity,
      seed: 0x5eed,
      now: this.#now,
      egress: (servers) =>
        new FuzzPlace(servers, ({ bytes, at, length }) => {
          this.#sent++;
          this.#last = bytes.subarray(at, at + length);
        }),
      mark: () => 0,
      unanswered: () => undefined,
      problem: (message) => {
        throw new Error(message);
      },
      serverChanged: () => undefined,
    });
    this.#fill();
  }

  run(kind: FloodKind): FloodOutcome {
    const clients = this.#establish();
    const before = this.#sent;
    const nanoseconds = this.#flood(kind);
    const sent = this.#sent - before;
    const { connections, templates } = this.table;
    const outcome = {
      connections: connections.size,
      halfOpen: connections.halfOpen,
      templates: templates.size,
      tableBytes: connections.bytes + templates.bytes,
      sent,
      nanoseconds,
    };
    const alive = clients.filter((client) => this.#carries(client)).length;
    return { ...outcome, alive, newClient: this.#opens(client(this.#options.established)) };
  }

  /** Everything that the flood left runs out. */
  settle(): void {
    for (let seconds = 0; seconds < 1500; seconds++) this.#advance(this.#now + 1000);
  }

  #fill(): void {
    const director = new Director({
      applied: (verb) => {
        this.table.apply([verb]);
      },
    });
    const service = (
      protocol: 'tcp' | 'udp',
      address: string,
      forwarding: Forwarding,
      persistence: number,
    ) => {
      const id = { kind: 'address', protocol, address, port: protocol === 'tcp' ? 80 : 53 } as const;
      const settings = {
        scheduler: 'wlc',
        schedulerFlags: 0,
        persistence,
        netmask: 0xffffffff,
        persistenceEngine: '',
        onePacket: false,
        proxyProtocol: 'none',
      } as const;
      director.apply({ verb: 'add-service', service: id, settings }, 'flood');
      for (const address of ['10.2.0.11', '10.2.0.12']) {
        const limits = { weight: 1, upperThreshold: 0, lowerThreshold: 0 };
        const destination = { address, port: id.port };
        const settings = { forwarding, tunnel: ipipTunnel, ...limits };
        director.apply({ verb: 'add-destination', service: id, destination, settings }, 'flood');
      }
    };
    service('tcp', '10.1.0.100', 'masq', 0);
    service('tcp', '10.1.0.101', 'gate', 0);
    service('tcp', '10.1.0.102', 'masq', 300);
    service('udp', '10.1.0.100', 'masq', 0);
  }

  /** A third each: NAT, direct routing, persistent NAT. */
  #establish(): Uint8Array[] {
    const clients = Array.from({ length: this.#options.established }, (_, i) => client(i));
    for (const address of clients) if (!this.#opens(address)) throw new Error('a client was refused');
    return clients;
  }

  #opens(source: Uint8Array): boolean {
    const ends = { source, destination: virtualOf(source) };
    if (!this.#forward(ip(ends, protocols.tcp, tcp(ends, 40000, 80, SYN, nothing)))) return false;
    if (isNat(source)) this.#answer(source, SYN | ACK);
    return this.#forward(ip(ends, protocols.tcp, tcp(ends, 40000, 80, ACK, nothing)));
  }

  /** To the server that had it from the beginning, and back from there. */
  #carries(source: Uint8Array): boolean {
    const ends = { source, destination: virtualOf(source) };
    if (!this.#forward(ip(ends, protocols.tcp, tcp(ends, 40000, 80, ACK, nothing)))) return false;
    if (!isNat(source)) return true;
    this.#answer(source, ACK);
    return Buffer.compare(this.#last.subarray(12, 16), ends.destination) === 0;
  }

  /** The server to which the last packet went answers. */
  #answer(source: Uint8Array, flags: number): void {
    const ends = { source: this.#last.slice(16, 20), destination: source };
    this.#forward(ip(ends, protocols.tcp, tcp(ends, 80, 40000, flags, nothing)));
  }

  /** @returns whether it was sent on */
  #forward(packet: Uint8Array): boolean {
    const before = this.#sent;
    this.#buffer.set(packet, HEADROOM);
    this.table.forwarder.forward(this.#buffer, HEADROOM, packet.length, this.#now);
    return this.#sent > before;
  }

  /** @returns nanoseconds of processor time a packet, without making it */
  #flood(kind: FloodKind): number {
    const { packets, rate } = this.#options;
    const { packet, repeats } = floods[kind];
    const making = processorTime(() => {
      for (let i = 0; i < packets; i++) this.#make(packet, i);
    });
    const all = processorTime(() => {
      for (let i = 0; i < packets; i++) {
        const length = this.#make(packet, i);
        for (let time = 0; time < repeats; time++) {
          if (time > 0 && kind === 'syn ack') this.#buffer[HEADROOM + 33] = ACK;
          this.table.forwarder.forward(this.#buffer, HEADROOM, length, this.#now);
          // a packet that was sent on was rewritten
          if (time + 1 < repeats) this.#make(packet, i);
        }
        if (i % 1000 === 999) this.#advance(this.#now + (1000 / rate) * 1000);
      }
    });
    return ((all - making) * 1e6) / packets;
  }

  /** Another source each time, all over the Internet. */
  #make(packet: Uint8Array, i: number): number {
    const buffer = this.#buffer;
    buffer.set(packet, HEADROOM);
    const source = HEADROOM + 12;
    buffer[source] = 11 + ((i >>> 16) % 100);
    put16(buffer, source + 1, i);
    buffer[source + 3] = 1 + (i >>> 16) / 100;
    // of fragments each is of another datagram
    put16(buffer, HEADROOM + 4, i);
    sealHeader(buffer.subarray(HEADROOM, HEADROOM + 20));
    return packet.length;
  }

  #advance(now: number): void {
    const before = Math.floor(this.#now / 1000);
    this.#now = now;
    if (Math.floor(now / 1000) > before) this.table.advance(now);
  }
}

/** Clients on the directly connected network. */
function client(i: number): Uint8Array {
  return Uint8Array.of(172, 16, i / 250, 1 + (i % 250));
}

function isNat(source: Uint8Array): boolean {
  return (source[3] ?? 0) % 3 !== 1;
}

/** A third each. */
function virtualOf(source: Uint8Array): Uint8Array {
  return Uint8Array.of(10, 1, 0, 100 + ((source[3] ?? 0) % 3));
}

function between(virtual: string): Ends {
  return { source: Uint8Array.of(1, 1, 1, 1), destination: addressBytes(virtual) };
}

function opening(virtual: string, flags: number): Uint8Array {
  return ip(between(virtual), protocols.tcp, tcp(between(virtual), 5000, 80, flags, nothing));
}

function query(): Uint8Array {
  const ends = between('10.1.0.100');
  return ip(ends, protocols.udp, udp(ends, 5000, 53, new Uint8Array(18)));
}

/** Quotes a connection that there could be. */
function unreachable(): Uint8Array {
  const ends = between('10.1.0.100');
  const back = { source: ends.destination, destination: ends.source };
  return ip(ends, ...icmp(ends, 3, 3, 0, ip(back, protocols.tcp, tcp(back, 80, 5000, ACK, nothing))));
}

/** Milliseconds. */
function processorTime(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
