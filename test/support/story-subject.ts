/**
 * The engine that the stories are told to: the packet engine's forwarder with everything that is pure, in the place of the stories.
 * One function builds it, so that a story knows nothing of how it is made.
 */
import { addressWords } from '../../src/engines/address-words.ts';
import type { ConnectionEntry } from '../../src/engines/engine.ts';
import type { Destinations } from '../../src/engines/packet/forwarding/destinations.ts';
import type { Egress } from '../../src/engines/packet/forwarding/egress.ts';
import { isLoopback, NO_HOP, Place } from '../../src/engines/packet/forwarding/egress.ts';
import { parseMarkRules } from '../../src/engines/marks/iptables-marks.ts';
import { MarkRules } from '../../src/engines/marks/mark-rules.ts';
import { PacketTable } from '../../src/engines/packet/packet-table.ts';
import { Verdict } from '../../src/engines/packet/forwarding/verdict.ts';
import { readVsSettings } from '../../src/engines/vs-settings.ts';
import type { IpPacket } from '../../src/wire/ip-packet.ts';
import type { ListingOption } from './story-director.ts';
import { StoryDirector } from './story-director.ts';
import type { Side, Story } from './story.ts';

export interface Forwarded {
  /** `pass`: the engine leaves the packet to the host's own stack. */
  readonly verdict: 'sent' | 'pass' | 'drop';
  /** By host of the place (`rs1`, `client`, `gateway`), or `local`. */
  readonly out: readonly { readonly to: string; readonly packet: Uint8Array }[];
}

/** Times are milliseconds of one clock, that never goes back. */
export interface Subject {
  /** Whether fragments wait for the others of their datagram, so that nothing comes out before the last one is in. */
  readonly reassembles: boolean;
  /** The words of one ipvsadm command line that changes the table or the timeouts. */
  ipvsadm(words: readonly string[]): Promise<void>;
  /** A name below net.ipv4.vs. */
  sysctl(name: string, value: number): void;
  forward(_side: Side, packet: Uint8Array, now: number): Forwarded;
  /** Everything that is due by then. */
  advance(now: number): void;
  connections(now: number): readonly ConnectionEntry[];
  /** Text that `ipvsadm -L -n` prints, with `--stats`, with `--persistent-conn`. */
  listing(option: ListingOption): string;
}

/** With the story's sysctls, marks, MTU and table in force at time `now`. */
export async function createSubject(story: Story, now: number): Promise<Subject> {
  const subject = new PacketSubject(story, now);
  for (const line of story.table) await subject.ipvsadm(line.split(' '));
  return subject;
}

class PacketSubject implements Subject {
  readonly reassembles = true;
  readonly #settings;
  readonly #place: StoryPlace;
  readonly #table: PacketTable;
  readonly #director: StoryDirector;
  #now: number;

  constructor(story: Story, now: number) {
    const words = Object.entries(story.sysctl ?? {}).map(([name, value]) => `${name}=${value}`);
    this.#settings = readVsSettings(words.join(' '));
    this.#now = now;
    const marks = storyMarks(story);
    let place: StoryPlace | undefined;
    this.#table = new PacketTable({
      size: { services: 64, destinations: 256 },
      settings: this.#settings,
      limit: story.limits?.connections ?? 4096,
      capacity: 1024,
      halfOpen: story.limits?.halfOpen ?? 1024,
      seed: 0x12345678,
      now,
      egress: (destinations) => (place = new StoryPlace(destinations, story.mtu ?? 1500)),
      mark: (packet) => (this.#place.isLocal(packet) ? marks.markOf(packet, 'front') : 0),
      unanswered: () => undefined,
      problem: (message) => {
        throw new Error(message);
      },
      serverChanged: () => undefined,
    });
    if (place === undefined) throw new Error('no egress was asked for');
    this.#place = place;
    this.#director = new StoryDirector((verb) => {
      this.#table.apply([verb]);
    });
  }

  ipvsadm(words: readonly string[]): Promise<void> {
    return this.#director.ipvsadm(words);
  }

  sysctl(name: string, value: number): void {
    Object.assign(this.#settings, readVsSettings(''), this.#settings, { [name]: value });
  }

  forward(_side: Side, packet: Uint8Array, now: number): Forwarded {
    const headroom = 64;
    const buffer = new Uint8Array(headroom + packet.length);
    buffer.set(packet, headroom);
    this.#place.out = [];
    const verdict = this.#table.forwarder.forward(buffer, headroom, packet.length, now);
    return { verdict: words[verdict], out: this.#place.out };
  }

  advance(now: number): void {
    while (this.#now < now) {
      this.#now = Math.min(now, this.#now + 1000);
      this.#table.advance(this.#now);
    }
    this.#table.forgetRemains();
  }

  connections(now: number): readonly ConnectionEntry[] {
    return this.#table.rows(now);
  }

  listing(option: ListingOption): string {
    return this.#director.listing(option, this.#table.report());
  }
}

const words = { [Verdict.sent]: 'sent', [Verdict.pass]: 'pass', [Verdict.drop]: 'drop' } as const;

/** The director's two networks, on which everybody is known. Hops are numbers of hosts. */
class StoryPlace implements Egress {
  out: { to: string; packet: Uint8Array }[] = [];
  readonly #destinations: Destinations;
  readonly #mtu: number;

  constructor(destinations: Destinations, mtu: number) {
    this.#destinations = destinations;
    this.#mtu = mtu;
  }

  serverHop(destination: number): number {
    const server = this.#destinations.at(destination);
    return server === undefined ? NO_HOP : this.hopTo(server.words, server.family);
  }

  hopTo(address: Int32Array, family: 4 | 6): number {
    const at = hosts.findIndex((host) => host.covers(address, family));
    return at < 0 ? NO_HOP : at * 2 + (family === 4 ? 0 : 1);
  }

  valid(hop: number): boolean {
    return hop >= 0;
  }

  place(hop: number, address: Int32Array, family: 4 | 6): Place {
    if (hostOf(hop).name !== 'local') return Place.remote;
    return isLoopback(address, family) ? Place.loopback : Place.local;
  }

  isLocal(packet: IpPacket): boolean {
    const words = new Int32Array(4);
    packet.copyDestination(words);
    return this.isOwn(words, packet.family);
  }

  readonly #learned = new Map<string, number>();

  mtuTo(address: Int32Array, _family: 4 | 6, hop: number): number {
    const own = hostOf(hop).side === 'server' ? this.#mtu : 1500;
    return Math.min(own, this.#learned.get(address.join()) ?? own);
  }

  source(hop: number): Int32Array {
    const { side } = hostOf(hop);
    const network = side === 'server' ? 2 : 1;
    return addressWords(hop % 2 === 0 ? `10.${network}.0.1` : `2001:db8:${network}::1`).words;
  }

  isOwn(address: Int32Array, family: 4 | 6): boolean {
    return hosts[0]?.covers(address, family) ?? false;
  }

  learnMtu(address: Int32Array, _family: 4 | 6, mtu: number): void {
    this.#learned.set(address.join(), mtu);
  }

  send(hop: number, bytes: Uint8Array, at: number, length: number): void {
    this.out.push({ to: hostOf(hop).name, packet: bytes.slice(at, at + length) });
  }

  local(bytes: Uint8Array, at: number, length: number): void {
    this.out.push({ to: 'local', packet: bytes.slice(at, at + length) });
  }
}

interface PlaceHost {
  readonly name: string;
  readonly side: 'client' | 'server';
  covers(address: Int32Array, family: 4 | 6): boolean;
}

function host(name: string, side: PlaceHost['side'], ...addresses: readonly string[]): PlaceHost {
  const known = new Set(addresses.map((address) => addressWords(address).words.join()));
  return { name, side, covers: (address) => known.has(address.join()) };
}

function network(name: string, side: PlaceHost['side'], v4: number, v6: number | undefined): PlaceHost {
  const inside = (address: Int32Array, family: 4 | 6) =>
    family === 4
      ? (address[0] ?? 0) >> 8 === v4 >> 8
      : v6 !== undefined && address[0] === 0x20010db8 && address[1] === v6;
  return { name, side, covers: inside };
}

const own = [
  '10.1.0.1',
  '10.1.0.100',
  '10.2.0.1',
  '2001:db8:1::1',
  '2001:db8:1::100',
  '2001:db8:2::1',
  '127.0.0.1',
  '::1',
];

/** In the order in which they are looked for; everybody else is beyond the gateway. */
const hosts: readonly PlaceHost[] = [
  host('local', 'client', ...own),
  ...[1, 2, 3].map((n) => host(`rs${n}`, 'server', `10.2.0.1${n}`, `2001:db8:2::1${n}`)),
  host('gateway', 'client', '10.1.0.254', '2001:db8:1::fe'),
  network('client', 'client', 0x0a010000, 0x00010000),
  { name: 'gateway', side: 'client', covers: () => true },
];

function hostOf(hop: number): PlaceHost {
  const found = hosts[hop >> 1];
  if (found === undefined) throw new RangeError(`no hop ${hop}`);
  return found;
}

/** What the packet filter of the story's director does. */
export function storyMarks({ iptables = [], ip6tables = [] }: Story): MarkRules {
  return new MarkRules([
    ...parseMarkRules(savedRules(iptables), 4).rules,
    ...parseMarkRules(savedRules(ip6tables), 6).rules,
  ]);
}

function savedRules(rules: readonly string[]): string {
  return [
    '*mangle',
    ':PREROUTING ACCEPT [0:0]',
    ...rules.map((rule) => rule.replace('-t mangle ', '')),
    'COMMIT',
    '',
  ].join('\n');
}
