/**
 * What the programs know of this host: its addresses, its interfaces and what they are good for, and how real servers lie to it.
 * Kept up to date from netlink; routes and neighbours the programs ask for themselves.
 */
import type { BpfMap } from '../../platform/bpf/bpf-map.ts';
import type { InterfaceAddress, Link, Netlink, Route } from '../../platform/netlink.ts';
import type { Address } from '../../util/ip.ts';
import { addressBytes, familyOf, formatAddress } from '../../util/ip.ts';
import { ownAddresses } from '../interfaces.ts';
import type { Bypass } from '../unanswered.ts';
import type { LoadedDirector } from './program.ts';
import { Card, Interface, Server, ServerFlag, Settings } from './layout.ts';

const INTERFACE_XDP = 1;
const INTERFACE_NO_ETHERNET = 2;

export interface HostParts {
  readonly director: Pick<LoadedDirector, 'map' | 'view' | 'sizes'>;
  readonly netlink: Pick<Netlink, 'addresses' | 'route'>;
  problem?(message: string): void;
}

/** Entries that both maps have room for. */
const room = 4096;

export class Host {
  readonly #parts: HostParts;
  readonly #own: MapContent;
  readonly #interfaces: MapContent;
  /** What XDP knows of the interfaces: {@link Card} by the low bits of their indexes. */
  readonly #cards: DataView;
  /** By slots of destinations. */
  readonly #servers: DataView;
  /** Of servers that came since {@link forgetPlaces}: the services of a table have few servers, again and again. */
  readonly #places = new Map<Address, ServerPlace>();

  constructor(parts: HostParts) {
    this.#parts = parts;
    const { director } = parts;
    this.#own = new MapContent(director.map('own_addresses'));
    this.#interfaces = new MapContent(director.map('interfaces'));
    this.#cards = new DataView(director.view('settings'), Settings.cards, Settings.bytes - Settings.cards);
    this.#servers = new DataView(director.view('servers'), 0, director.sizes.destinations * Server.bytes);
  }

  /** @param redirectable interfaces that take what XDP sends to them */
  refresh(links: readonly Link[], redirectable: ReadonlySet<number>): void {
    const addresses = this.#parts.netlink.addresses();
    this.#own.set(
      this.#fitting('addresses', ownAddresses(addresses)).map((address) => [addressKey(address), one]),
    );
    this.#interfaces.set(
      this.#fitting('interfaces', links).map((link) => [
        word(link.index),
        interfaceValue(link, addresses, redirectable.has(link.index)),
      ]),
    );
    this.#setCards(links);
    this.refreshServers();
  }

  /** Of two interfaces with the same low bits of their index the later one has the row: XDP leaves the other's packets to tc. */
  #setCards(links: readonly Link[]): void {
    const cards = this.#cards;
    const rows = Math.floor(cards.byteLength / Card.bytes);
    const cardOf = new Map(links.map((link) => [link.index % rows, link]));
    for (let row = 0; row < rows; row++) {
      const link = cardOf.get(row);
      if (link === undefined) cards.setUint32(row * Card.bytes, 0, true);
      else {
        new Uint8Array(cards.buffer, cards.byteOffset + row * Card.bytes + Card.mac, 6).set(
          link.mac.subarray(0, 6),
        );
        cards.setUint32(row * Card.bytes, link.index, true);
      }
    }
  }

  #fitting<Item>(what: string, all: readonly Item[]): readonly Item[] {
    if (all.length > room)
      this.#parts.problem?.(`this host has ${all.length} ${what}: the ebpf engine knows the first ${room}`);
    return all.slice(0, room);
  }

  /** Of every destination: whether it is this host, and from which address tunnels go to it. */
  refreshServers(): void {
    this.forgetPlaces();
    const servers = this.#servers;
    for (let slot = 0; (slot + 1) * Server.bytes <= servers.byteLength; slot++) this.placeServer(slot);
    this.forgetPlaces();
  }

  /** The same of one. It may be asked about thousands at a time: what the kernel said holds until {@link forgetPlaces}. */
  placeServer(slot: number): void {
    const servers = this.#servers;
    const { netlink } = this.#parts;
    const at = slot * Server.bytes;
    const family = servers.getUint8(at + Server.family);
    if (family === 0) return;
    const address = formatAddress(
      new Uint8Array(servers.buffer, servers.byteOffset + at, family === 4 ? 4 : 16),
    );
    let place = this.#places.get(address);
    if (place === undefined) this.#places.set(address, (place = placeOf(netlink, address)));
    servers.setUint32(at + Server.flags, place.flags, true);
    new Uint8Array(servers.buffer, servers.byteOffset + at + Server.source, 16).set(place.source);
  }

  /** The kernel is asked anew. */
  forgetPlaces(): void {
    this.#places.clear();
  }

  /** Why replies of a server to a client may not come through this host. */
  bypass(server: Address, client: Address): Bypass {
    const { netlink } = this.#parts;
    const [to, from] = [netlink.route(server), netlink.route(client)];
    if (to?.kind === 'local') return 'itself';
    const onLink = (route: Route | undefined): boolean =>
      route?.kind === 'unicast' && route.gateway === undefined;
    return onLink(to) && onLink(from) && to?.interfaceIndex === from?.interfaceIndex
      ? 'neighbours'
      : 'unknown';
  }
}

interface ServerPlace {
  readonly flags: number;
  /** 16 bytes. */
  readonly source: Uint8Array;
}

function placeOf(netlink: Pick<Netlink, 'route'>, address: Address): ServerPlace {
  const route = netlink.route(address);
  const source = new Uint8Array(16);
  const from = route?.source;
  if (from !== undefined && familyOf(from) === familyOf(address)) source.set(addressBytes(from));
  const local = route?.kind === 'local' ? ServerFlag.local : 0;
  return { flags: local | (isLoopback(address) ? ServerFlag.loopback : 0), source };
}

function isLoopback(address: Address): boolean {
  return address === '::1' || address.startsWith('127.');
}

/** An entry of the map, copied to what is in force there only where it differs. */
class MapContent {
  readonly #map: BpfMap;
  readonly #written = new Map<string, Buffer>();

  constructor(map: BpfMap) {
    this.#map = map;
    // what the daemon before wrote, in unknown state
    for (const key of map.keys()) this.#written.set(key.toString('hex'), Buffer.alloc(0));
  }

  set(entries: readonly (readonly [key: Buffer, value: Buffer])[]): void {
    const wanted = new Map(entries.map(([key, value]) => [key.toString('hex'), value]));
    for (const [key, value] of wanted) {
      if (this.#written.get(key)?.equals(value) === true) continue;
      this.#map.update(Buffer.from(key, 'hex'), value);
      this.#written.set(key, value);
    }
    for (const key of this.#written.keys()) {
      if (wanted.has(key)) continue;
      this.#map.delete(Buffer.from(key, 'hex'));
      this.#written.delete(key);
    }
  }
}

const one = word(1);

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function addressKey(address: Address): Buffer {
  const key = Buffer.alloc(16);
  key.set(addressBytes(address));
  return key;
}

/** The address that the host speaks from where the interface has none is another interface's, as with the kernel. */
function interfaceValue(link: Link, addresses: readonly InterfaceAddress[], redirectable: boolean): Buffer {
  const value = Buffer.alloc(Interface.bytes);
  value.writeUInt32LE(
    (redirectable ? INTERFACE_XDP : 0) | (link.ethernet || link.loopback ? 0 : INTERFACE_NO_ETHERNET),
    0,
  );
  const speaks = (family: 'inet' | 'inet6'): Uint8Array => {
    const usable = addresses.filter(({ address }) => familyOf(address) === family && !isLoopback(address));
    const here = usable.filter(({ interfaceIndex }) => interfaceIndex === link.index);
    const wide = (list: typeof usable) => list.find(({ address }) => !isLinkLocal(address));
    const found = wide(here) ?? wide(usable) ?? here[0];
    return found === undefined ? new Uint8Array(0) : addressBytes(found.address);
  };
  value.set(speaks('inet'), 4);
  value.set(speaks('inet6'), 8);
  value.writeUInt32LE(link.mtu, 24);
  return value;
}

function isLinkLocal(address: Address): boolean {
  return /^fe[89ab]/.test(address);
}
