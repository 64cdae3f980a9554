/**
 * The director's place as the fuzzer sees it: a network of clients, one of real servers, a gateway to everybody else, addresses of its
 * own. Routes change now and then, after which the hops of before may not be used any more.
 */
import type { Destinations } from '../../../src/engines/packet/forwarding/destinations.ts';
import type { Egress } from '../../../src/engines/packet/forwarding/egress.ts';
import { NO_HOP, Place } from '../../../src/engines/packet/forwarding/egress.ts';
import { ABSENT, EndpointMap } from '../../../src/engines/packet/forwarding/endpoint-map.ts';
import { PathMtus } from '../../../src/engines/packet/hops/path-mtus.ts';
import { addressWords } from '../../../src/engines/address-words.ts';

export const virtual = ['10.1.0.100', '10.1.0.101', '10.1.0.102', '2001:db8:1::100', '2001:db8:1::101'];
export const ownAddresses = [
  ...virtual,
  '10.1.0.1',
  '10.2.0.1',
  '2001:db8:1::1',
  '2001:db8:2::1',
  '127.0.0.1',
  '::1',
];

export const Hop = { own: 0, clients: 1, servers: 2, gateway: 3 } as const;
const HOPS = 4;

export interface Sent {
  /** One of {@link Hop}, or undefined for what goes to this host's own stack. */
  readonly hop: number | undefined;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly length: number;
  readonly mtu: number;
}

export class FuzzPlace implements Egress {
  /** Of the interface towards the real servers. */
  serverMtu = 1500;
  now = 0;
  readonly #destinations: Destinations;
  readonly #own = new EndpointMap();
  readonly #sources = [4, 6].map((family) => [
    addressWords(family === 4 ? '10.1.0.1' : '2001:db8:1::1').words,
    addressWords(family === 4 ? '10.2.0.1' : '2001:db8:2::1').words,
  ]);
  readonly #pathMtus = new PathMtus();
  readonly #sent: (sent: Sent) => void;
  #generation = 1;

  constructor(destinations: Destinations, sent: (sent: Sent) => void) {
    this.#destinations = destinations;
    this.#sent = sent;
    for (const own of ownAddresses) {
      const { family, words } = addressWords(own);
      this.#own.set(0, family, words, 0, 1);
    }
  }

  changeRoutes(): void {
    this.#generation++;
  }

  serverHop(destination: number): number {
    const server = this.#destinations.at(destination);
    return server === undefined ? NO_HOP : this.hopTo(server.words, server.family);
  }

  hopTo(address: Int32Array, family: 4 | 6): number {
    const hop = this.isOwn(address, family) ? Hop.own : hopOf(address, family);
    return hop === NO_HOP ? NO_HOP : (this.#generation * HOPS + hop) * 2 + (family === 4 ? 0 : 1);
  }

  valid(hop: number): boolean {
    return hop >= 0 && Math.floor(hop / HOPS / 2) === this.#generation;
  }

  place(hop: number, address: Int32Array, family: 4 | 6): Place {
    if (this.#indexOf(hop) !== Hop.own) return Place.remote;
    return family === 4 && (address[0] ?? 0) >>> 24 === 127 ? Place.loopback : Place.local;
  }

  mtuTo(address: Int32Array, family: 4 | 6, hop: number): number {
    return Math.min(this.#mtuOf(hop), this.#pathMtus.at(address, family, this.now));
  }

  source(hop: number): Int32Array {
    const source = this.#sources[hop & 1]?.[this.#indexOf(hop) === Hop.servers ? 1 : 0];
    if (source === undefined) throw new RangeError(`no hop ${hop}`);
    return source;
  }

  isOwn(address: Int32Array, family: 4 | 6): boolean {
    return this.#own.get(0, family, address, 0) !== ABSENT;
  }

  learnMtu(address: Int32Array, family: 4 | 6, mtu: number): void {
    this.#pathMtus.learn(address, family, mtu, this.now);
  }

  send(hop: number, bytes: Uint8Array, at: number, length: number): void {
    if (at < 14) throw new RangeError('no room for an Ethernet header');
    // the engine may overwrite what lies before the packet
    bytes.fill(0xee, at - 14, at);
    this.#sent({ hop: this.#indexOf(hop), bytes, at, length, mtu: this.#mtuOf(hop) });
  }

  local(bytes: Uint8Array, at: number, length: number): void {
    this.#sent({ hop: undefined, bytes, at, length, mtu: 65535 });
  }

  #indexOf(hop: number): number {
    if (!this.valid(hop)) throw new RangeError(`hop ${hop} is not valid`);
    return (hop >> 1) % HOPS;
  }

  #mtuOf(hop: number): number {
    const index = this.#indexOf(hop);
    return index === Hop.servers ? this.serverMtu : index === Hop.own ? 65536 : 1500;
  }
}

function hopOf(address: Int32Array, family: 4 | 6): number {
  const [first = 0, second = 0] = address;
  if (family === 6) {
    if (first >>> 24 === 0xff || (first === 0 && second === 0)) return NO_HOP;
    if (first !== 0x20010db8) return Hop.gateway;
    return second === 0x00010000 ? Hop.clients : second === 0x00020000 ? Hop.servers : Hop.gateway;
  }
  const top = first >>> 24;
  // 198.18.0.0/16 is routed to this host, which has none of its addresses
  if (top === 127 || first >>> 16 === 0xc612) return Hop.own;
  if (top === 0 || top >= 224 || (first & 0xff) === 255) return NO_HOP;
  // 203.0.113.0/24 is unreachable
  if (first >>> 8 === 0xcb0071) return NO_HOP;
  if (first >>> 8 === 0x0a0100) return Hop.clients;
  return first >>> 8 === 0x0a0200 ? Hop.servers : Hop.gateway;
}
