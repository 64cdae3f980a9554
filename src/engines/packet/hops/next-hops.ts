/**
 * Where a packet to an address leaves this host: the kernel's own answer, with all its routes and rules, remembered until
 * these change. Destinations behind one gateway share one hop, so a million clients cost as much as one.
 */
import type { InterfaceAddress, Link, Netlink, Route } from '../../../platform/netlink.ts';
import type { Address } from '../../../util/ip.ts';
import { familyOf } from '../../../util/ip.ts';
import { addressWords, wordsAddress } from '../../address-words.ts';
import { hashWords } from './hash-words.ts';
import { readArp, readNeighbourDiscovery } from './neighbour-messages.ts';
import { Neighbours } from './neighbours.ts';
import { PathMtus } from './path-mtus.ts';

export type RoutingTable = Pick<Netlink, 'links' | 'addresses' | 'route' | 'neighbour' | 'changed'>;

export interface NextHopParts {
  readonly netlink: RoutingTable;
  /** A whole Ethernet frame, out on the link with this index. */
  send(link: number, frame: Buffer, length: number): void;
  /** For the log: `10.2.0.11 on eth1 does not answer ARP`. */
  problem(message: string): void;
  /** Milliseconds, monotonic. */
  now(): number;
}

export const HOP_NONE = -1;

/** ethernet: as a frame; kernel: not Ethernet, through a raw socket; local: this host itself. */
export type HopKind = 'ethernet' | 'kernel' | 'local';
const kinds: readonly HopKind[] = ['ethernet', 'kernel', 'local'];

/** A hop number is generation << 16 | index. */
const INDEX = 0xffff;
/** The index that stands for no route; it is also how many hops a generation can have. */
const NO_ROUTE = INDEX;
const GENERATIONS = 0x8000;
/** Milliseconds at least between two generations; up to the latter while routes never stop changing. */
const PACE = 100;
const SLOWEST = 5000;

const ANSWERS = 65536;
/** So many answers share a hash. */
const WAYS = 4;
/** Words of an answer: address x4, source asked for x4, family, hop. */
const STRIDE = 10;
const FAMILY = 8;
const HOP = 9;

const noAddress = new Int32Array(4);

interface Hop {
  readonly kind: HopKind;
  readonly link: Link;
  /** The gateway, or the destination itself on the link; where neither matters, the kind. */
  readonly to: Address;
  readonly onLink: boolean;
  readonly source: Address | undefined;
  readonly mtu: number;
}

export class NextHops {
  readonly #parts: NextHopParts;
  readonly #neighbours: Neighbours;
  readonly #pathMtus = new PathMtus();
  #links: ReadonlyMap<number, Link>;
  #addresses: readonly InterfaceAddress[];

  /** Answers of the kernel, in sets by the hash of what was asked. */
  readonly #answers = new Int32Array(ANSWERS * STRIDE);
  #turn = 0;
  #generation = 1;
  #changed = false;
  #renewed = -Infinity;
  #pace = PACE;
  #now: number;

  #count = 0;
  readonly #interned = new Map<string, number>();
  readonly #kind = new Uint8Array(NO_ROUTE);
  readonly #onLink = new Uint8Array(NO_ROUTE);
  readonly #mtu = new Int32Array(NO_ROUTE);
  readonly #link = new Int32Array(NO_ROUTE);
  readonly #neighbour = new Int32Array(NO_ROUTE);
  readonly #source: Int32Array[] = [];

  /** Subscribing to changes is up to the caller. */
  constructor(parts: NextHopParts) {
    const { netlink } = parts;
    this.#parts = parts;
    this.#now = parts.now();
    this.#links = linksOf(netlink);
    this.#addresses = netlink.addresses();
    this.#neighbours = new Neighbours({
      kernel: (link, address) => netlink.neighbour(link, address),
      send: (link, frame, length) => {
        parts.send(link, frame, length);
      },
      problem: (message) => {
        parts.problem(message);
      },
    });
  }

  /** Packets that waited in vain for their neighbour's MAC address. */
  get dropped(): number {
    return this.#neighbours.dropped;
  }

  /**
   * Hot path when the answer is remembered; else the kernel is asked, some microseconds.
   * @param from this host's address that the packet comes from, for rules that choose a route by it
   * @returns a hop number; HOP_NONE without a route
   */
  hopFor(address: Int32Array, family: 4 | 6, from: Int32Array = noAddress): number {
    const answers = this.#answers;
    const set = ((hashWords(address) ^ hashWords(from)) & (ANSWERS / WAYS - 1)) * WAYS * STRIDE;
    for (let at = set; at < set + WAYS * STRIDE; at += STRIDE) {
      const hop = answers[at + HOP] as number;
      if (
        hop >>> 16 === this.#generation &&
        answers[at] === address[0] &&
        answers[at + 4] === from[0] &&
        answers[at + FAMILY] === family &&
        (family === 4 || sameTail(answers, at, address, from))
      ) {
        return (hop & INDEX) === NO_ROUTE ? HOP_NONE : hop;
      }
    }
    const found = this.#ask(address, family, from);
    const at = this.#oldest(set);
    answers.set(address, at);
    answers.set(from, at + 4);
    answers[at + FAMILY] = family;
    answers[at + HOP] = found;
    return (found & INDEX) === NO_ROUTE ? HOP_NONE : found;
  }

  /** False for HOP_NONE, and after a change of routes: ask again. Hot path. */
  valid(hop: number): boolean {
    return hop >>> 16 === this.#generation;
  }

  kind(hop: number): HopKind {
    return kinds[this.#kind[hop & INDEX] ?? 0] ?? 'kernel';
  }

  /** Bytes of an IP packet, of the route or of its link. See {@link mtuTo} for what is known of the path. */
  mtu(hop: number): number {
    return this.#mtu[hop & INDEX] ?? 0;
  }

  /** Index of the interface. */
  link(hop: number): number {
    return this.#link[hop & INDEX] ?? 0;
  }

  /** This host's address towards it; zeros where it has none. Not to be written to. */
  source(hop: number): Int32Array {
    return this.#source[hop & INDEX] ?? noAddress;
  }

  /** Whether these two can talk to each other without this host: both on one link, neither behind a gateway. */
  onLinkWith(hop: number, other: number): boolean {
    const onLink = this.#onLink;
    return onLink[hop & INDEX] === 1 && onLink[other & INDEX] === 1 && this.link(hop) === this.link(other);
  }

  /** Somebody on the way said that packets to this address may have so many bytes; holds for ten minutes. */
  learnMtu(address: Int32Array, family: 4 | 6, mtu: number, now: number): void {
    this.#pathMtus.learn(address, family, mtu, now);
  }

  /** Bytes of an IP packet to this address, which leaves by `hop`. Hot path. */
  mtuTo(address: Int32Array, family: 4 | 6, hop: number): number {
    const mtu = this.#mtu[hop & INDEX] ?? 0;
    const path = this.#pathMtus.at(address, family, this.#now);
    return path < mtu ? path : mtu;
  }

  /**
   * Writes an Ethernet header of 14 bytes at `at`. Only for hops of kind ethernet.
   * @returns false while the neighbour's MAC address is not known, or when the hop is not valid any more. Hot path.
   */
  writeHeader(hop: number, frame: Uint8Array, at: number, ethertype: number): boolean {
    if (hop >>> 16 !== this.#generation) return false;
    return this.#neighbours.writeHeader(this.#neighbour[hop & INDEX] as number, frame, at, ethertype);
  }

  /** Keeps a copy of an IP packet until its neighbour answers; drops it when it does not, or the hop is not valid. */
  queue(hop: number, packet: Uint8Array, at: number, length: number): void {
    if (!this.valid(hop)) return;
    this.#neighbours.queue(this.#neighbour[hop & INDEX] ?? -1, packet, at, length, this.#parts.now());
  }

  /** A captured ARP frame. @param link index of the interface it came in on */
  arp(link: number, frame: Uint8Array, length: number): void {
    const claim = readArp(frame, length);
    if (claim !== undefined) this.#neighbours.learn(link, claim, this.#parts.now());
  }

  /** A captured frame with ICMPv6 neighbour discovery; others are left alone. */
  neighbourDiscovery(link: number, frame: Uint8Array, length: number): void {
    const claim = readNeighbourDiscovery(frame, length);
    if (claim !== undefined) this.#neighbours.learn(link, claim, this.#parts.now());
  }

  /** To be called some times a second: notices changes of routes, asks and refreshes neighbours. */
  advance(now: number): void {
    this.#now = now;
    if (this.#parts.netlink.changed()) this.#changed = true;
    if (this.#changed && now - this.#renewed >= this.#pace) this.#renew(now);
    this.#neighbours.advance(now);
  }

  /** Forgets all routes and hops. */
  #renew(now: number): void {
    this.#changed = false;
    this.#pace = now - this.#renewed < 2 * this.#pace ? Math.min(2 * this.#pace, SLOWEST) : PACE;
    this.#renewed = now;
    this.#links = linksOf(this.#parts.netlink);
    this.#addresses = this.#parts.netlink.addresses();
    this.#neighbours.keep(this.#links, now);
    this.#interned.clear();
    this.#source.length = 0;
    this.#count = 0;
    this.#generation++;
    if (this.#generation < GENERATIONS) return;
    this.#generation = 1;
    this.#answers.fill(0);
  }

  /** The place in a set for a new answer: of one that holds no more, else of each in turn. */
  #oldest(set: number): number {
    for (let at = set; at < set + WAYS * STRIDE; at += STRIDE)
      if ((this.#answers[at + HOP] as number) >>> 16 !== this.#generation) return at;
    this.#turn = (this.#turn + 1) % WAYS;
    return set + this.#turn * STRIDE;
  }

  /** @returns a hop number, whose index is NO_ROUTE when there is none */
  #ask(address: Int32Array, family: 4 | 6, from: Int32Array): number {
    const destination = wordsAddress(address, family);
    const { netlink } = this.#parts;
    // The kernel knows routes only from addresses of its own: others (a VIP that is not here) get the usual one.
    const route =
      (from === noAddress ? undefined : netlink.route(destination, wordsAddress(from, family))) ??
      netlink.route(destination);
    const hop = route === undefined ? undefined : this.#hopOf(destination, route);
    if (hop === undefined || route === undefined) return (this.#generation << 16) | NO_ROUTE;
    if (route.mtuExpires !== undefined)
      this.#pathMtus.learn(address, family, route.mtu, this.#parts.now(), route.mtuExpires);
    return this.#intern(hop);
  }

  #hopOf(destination: Address, route: Route): Hop | undefined {
    // a link that has just come is known only after its change has been read
    if (!this.#links.has(route.interfaceIndex)) this.#links = linksOf(this.#parts.netlink);
    const link = this.#links.get(route.interfaceIndex);
    if (link === undefined) return undefined;
    const { gateway, source } = route;
    const kind = kindOf(route, link);
    if (kind === undefined) return undefined;
    return {
      kind,
      link,
      to: kind === 'ethernet' ? (gateway ?? destination) : kind,
      onLink: kind === 'ethernet' && gateway === undefined,
      source,
      mtu: route.mtu > 0 && route.mtuExpires === undefined ? route.mtu : link.mtu,
    };
  }

  #intern(hop: Hop): number {
    const { kind, link, to, source = '', mtu, onLink } = hop;
    const key = `${onLink ? '' : 'via '}${to} ${link.index} ${mtu} ${source}`;
    const known = this.#interned.get(key);
    if (known !== undefined) return known;
    let neighbour = this.#neighbourOf(hop);
    if (this.#count === NO_ROUTE || neighbour === undefined) {
      this.#renew(this.#parts.now());
      neighbour = this.#neighbourOf(hop) ?? -1;
    }
    const index = this.#count++;
    this.#kind[index] = kinds.indexOf(kind);
    this.#onLink[index] = onLink ? 1 : 0;
    this.#mtu[index] = mtu;
    this.#link[index] = link.index;
    this.#source[index] = source === '' ? noAddress : addressWords(source).words;
    this.#neighbour[index] = neighbour;
    const number = (this.#generation << 16) | index;
    this.#interned.set(key, number);
    return number;
  }

  /** @returns -1 where none is needed, undefined when there are too many */
  #neighbourOf({ kind, link, to, source }: Hop): number | undefined {
    if (kind !== 'ethernet') return -1;
    const now = this.#parts.now();
    const family = familyOf(to);
    // who asks: the route's source; of the gateway's family where that is another one
    const asking =
      source !== undefined && familyOf(source) === family
        ? source
        : this.#addresses.find(
            ({ interfaceIndex, address }) => interfaceIndex === link.index && familyOf(address) === family,
          )?.address;
    const neighbour = this.#neighbours.find(link, to, asking, this.#macWithoutArp(link, to), now);
    return neighbour < 0 ? undefined : neighbour;
  }

  /** Nobody on the link can be asked: who the administrator says is there, or, as Linux does it, this host's own address. */
  #macWithoutArp(link: Link, to: Address): Uint8Array | undefined {
    if (link.arp) return undefined;
    const known = this.#parts.netlink.neighbour(link.index, to);
    return known?.mac.length === 6 ? known.mac : link.mac;
  }
}

function linksOf(netlink: RoutingTable): ReadonlyMap<number, Link> {
  return new Map(netlink.links().map((link) => [link.index, link]));
}

function sameTail(answers: Int32Array, at: number, address: Int32Array, from: Int32Array): boolean {
  return (
    answers[at + 1] === address[1] &&
    answers[at + 2] === address[2] &&
    answers[at + 3] === address[3] &&
    answers[at + 5] === from[1] &&
    answers[at + 6] === from[2] &&
    answers[at + 7] === from[3]
  );
}

function kindOf({ kind }: Route, link: Link): HopKind | undefined {
  switch (kind) {
    case 'local':
      return 'local';
    case 'unicast':
      if (link.loopback) return 'local';
      return link.ethernet ? 'ethernet' : 'kernel';
    // the director has nothing to say to groups: a client that seems to be one would multiply what is answered
    case 'broadcast':
    case 'multicast':
    case 'blackhole':
    case 'unreachable':
    case 'prohibit':
    case 'other':
      return undefined;
  }
}
