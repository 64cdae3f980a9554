/**
 * What the programs know of this host: its addresses, its interfaces and what they are good for, and how real servers lie to it.
 * Kept up to date from netlink; routes and neighbours the programs ask for themselves.
 */
import type { BpfMap } from '../../platform/bpf/bpf-map.ts';
import type { InterfaceAddress, Link, Netlink } from '../../platform/netlink.ts';
import type { Address } from '../../util/ip.ts';
import { addressBytes, familyOf, formatAddress } from '../../util/ip.ts';
import { ownAddresses } from '../interfaces.ts';
import { Server, ServerFlag } from './layout.ts';

/** struct interface: flags, address4, address6, mtu. */
const interfaceBytes = 28;
/** struct card: interface, mac. */
const cardBytes = 16;
const INTERFACE_XDP = 1;
const INTERFACE_NO_ETHERNET = 2;

export interface HostParts {
  readonly netlink: Pick<Netlink, 'addresses' | 'route'>;
  readonly ownAddresses: Pick<BpfMap, 'update' | 'delete' | 'keys'>;
  readonly interfaces: Pick<BpfMap, 'update' | 'delete' | 'keys'>;
  /** The map `cards`. */
  readonly cards: DataView;
  /** The map `servers`, by slots of destinations. */
  readonly servers: DataView;
  problem?(message: string): void;
}

/** Entries that both maps have room for. */
const room = 4096;

export class Host {
  readonly #parts: HostParts;
  readonly #own: MapContent;
  readonly #interfaces: MapContent;

  constructor(parts: HostParts) {
    this.#parts = parts;
    this.#own = new MapContent(parts.ownAddresses);
    this.#interfaces = new MapContent(parts.interfaces);
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
    const { cards } = this.#parts;
    const rows = Math.floor(cards.byteLength / cardBytes);
    const cardOf = new Map(links.map((link) => [link.index % rows, link]));
    for (let row = 0; row < rows; row++) {
      const link = cardOf.get(row);
      if (link === undefined) cards.setUint32(row * cardBytes, 0, true);
      else {
        new Uint8Array(cards.buffer, cards.byteOffset + row * cardBytes + 4, 6).set(link.mac.subarray(0, 6));
        cards.setUint32(row * cardBytes, link.index, true);
      }
    }
  }

  #fitting<Item>(what: string, all: readonly Item[]): readonly Item[] {
    if (all.length > room)
      this.#parts.problem?.(`this host has ${all.length} ${what}: the ebpf engine knows the first ${room}`);
    return all.slice(0, room);
  }

  /** Of every destination, or of those with one of these addresses: whether it is this host, and from which address tunnels go to it. */
  refreshServers(only?: ReadonlySet<Address>): void {
    const { servers, netlink } = this.#parts;
    const known = new Map<Address, ServerPlace>();
    for (let at = 0; at + Server.bytes <= servers.byteLength; at += Server.bytes) {
      const family = servers.getUint8(at + Server.family);
      if (family === 0) continue;
      const bytes = new Uint8Array(servers.buffer, servers.byteOffset + at, family === 4 ? 4 : 16);
      const address = formatAddress(bytes);
      if (only?.has(address) === false) continue;
      let place = known.get(address);
      if (place === undefined) known.set(address, (place = placeOf(netlink, address)));
      servers.setUint32(at + Server.flags, place.flags, true);
      new Uint8Array(servers.buffer, servers.byteOffset + at + Server.source, 16).set(place.source);
    }
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
  readonly #map: HostParts['interfaces'];
  readonly #written = new Map<string, Buffer>();

  constructor(map: HostParts['interfaces']) {
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
  const value = Buffer.alloc(interfaceBytes);
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
