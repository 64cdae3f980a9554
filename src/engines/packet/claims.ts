/**
 * Which packets are the engine's and not the kernel's: those to a virtual service, and those that a NAT real server sends to somebody
 * else. One definition for three readers: the capture filter, the kernel guard, and the question what to do with a packet that the
 * forwarder passes. A deleted service stays claimed while connections refer to it: as with IPVS, their packets are nobody else's.
 */
import type { ServiceId } from '../../director/table.ts';
import type { GuardClaims, GuardedEndpoint } from '../../platform/guard-state.ts';
import type { Address } from '../../util/ip.ts';
import { familyOf } from '../../util/ip.ts';
import { isIcmpError } from '../../wire/icmp.ts';
import { isIcmpv6Error } from '../../wire/icmpv6.ts';
import type { IpPacket } from '../../wire/ip-packet.ts';
import { addressWords } from '../address-words.ts';
import type { PoolDestination } from '../pool-table.ts';
import type { SetChange } from '../../util/counted-set.ts';
import { CountedSet } from '../../util/counted-set.ts';
import { ABSENT, EndpointMap } from './forwarding/endpoint-map.ts';
import { FTP, protocolNumber } from '../service-facts.ts';

/** A service, or what is left of it, with the destinations that may have connections. */
export interface Claimant {
  readonly id: ServiceId;
  readonly destinations: Iterable<Pick<PoolDestination, 'id' | 'settings'>>;
  readonly persistent: boolean;
}

type GuardedMark = GuardClaims['marks'][number];

/** What one claimant claims. Several may claim the same. */
type Claim = { readonly key: string } & (
  | { readonly kind: 'services' | 'replies'; readonly what: GuardedEndpoint }
  | { readonly kind: 'marks'; readonly what: GuardedMark }
);

export type Addresses = Pick<CountedSet<Address>, 'size' | 'has' | 'items'>;

export interface ClaimsChange {
  readonly guard: { readonly added: GuardClaims; readonly removed: GuardClaims };
  /** An address came or went: see {@link Claims.virtual} and {@link Claims.servers}. */
  readonly addresses: boolean;
  /** A mark came or went. */
  readonly marks: boolean;
}

const empty: GuardClaims = { services: [], replies: [], marks: [] };

/** To change something else of the guard. */
export const noClaims = { added: empty, removed: empty } as const;

/** A change costs as much as the services that changed, however many there are. */
export class Claims {
  readonly #claims = new Map<string, readonly Claim[]>();
  readonly #services = new CountedSet<GuardedEndpoint>();
  readonly #replies = new CountedSet<GuardedEndpoint>();
  readonly #marks = new CountedSet<GuardedMark>();
  /** Addresses that clients connect to. */
  readonly #virtualHosts = new CountedSet<Address>();
  /** Addresses of real servers whose replies come back. */
  readonly #servers = new CountedSet<Address>();
  readonly #virtualMap = new EndpointMap();
  readonly #replyMap = new EndpointMap();
  readonly #virtualHostMap = new EndpointMap();
  readonly #serverMap = new EndpointMap();
  readonly #words = new Int32Array(4);

  /** What somebody claims from now on, instead of before. @param key - names the claimant; undefined: nothing any more */
  update(key: string, claimant: Claimant | undefined): void {
    const before = this.#claims.get(key) ?? [];
    const after = claimant === undefined ? [] : claimsOf(claimant);
    if (after.length > 0) this.#claims.set(key, after);
    else this.#claims.delete(key);
    // in this order, so that what stays is never gone in between
    for (const claim of after) this.#add(claim);
    for (const claim of before) this.#remove(claim);
  }

  /** What became different since the last call, undefined if nothing. */
  takeChange(): ClaimsChange | undefined {
    const [services, replies] = [this.#services.takeChange(), this.#replies.takeChange()];
    const marks = this.#marks.takeChange();
    const addresses = [this.#virtualHosts.takeChange(), this.#servers.takeChange()];
    if ([services, replies, marks].every(isNothing)) return undefined;
    return {
      marks: !isNothing(marks),
      guard: {
        added: { services: services.added, replies: replies.added, marks: marks.added },
        removed: { services: services.removed, replies: replies.removed, marks: marks.removed },
      },
      addresses: !addresses.every(isNothing),
    };
  }

  /** Addresses that clients connect to. */
  get virtual(): Addresses {
    return this.#virtualHosts;
  }

  /** Addresses of real servers whose replies come back. */
  get servers(): Addresses {
    return this.#servers;
  }

  get marks(): readonly GuardedMark[] {
    return this.#marks.items();
  }

  get marked(): boolean {
    return this.#marks.size > 0;
  }

  /** A TCP or UDP packet to a virtual service. */
  hasVirtual(packet: IpPacket): boolean {
    packet.copyDestination(this.#words);
    return has(this.#virtualMap, packet, this.#words, packet.destinationPort);
  }

  /** A packet that the guard stops because a NAT real server sent it: from its port, a later fragment, or an ICMP error. */
  stopsReply(packet: IpPacket): boolean {
    packet.copySource(this.#words);
    if (packet.hasPorts) return has(this.#replyMap, packet, this.#words, packet.sourcePort);
    if (packet.fragmentOffset === 0 && !isError(packet)) return false;
    return this.#serverMap.get(0, packet.family, this.#words, 0) !== ABSENT;
  }

  /** Stopped too, but for this host: a program on it is a client of the service, or checks the server from the virtual address. */
  stopsReplyToVirtual(packet: IpPacket): boolean {
    packet.copyDestination(this.#words);
    const toVirtual = this.#virtualHostMap.get(0, packet.family, this.#words, 0) !== ABSENT;
    return toVirtual && this.stopsReply(packet);
  }

  hasMark(family: 4 | 6, mark: number): boolean {
    return this.#marks.has(markKey(family, mark));
  }

  #add({ kind, key, what }: Claim): void {
    if (kind === 'marks') {
      this.#marks.add(key, what);
      return;
    }
    const ofServices = kind === 'services';
    if (!(ofServices ? this.#services : this.#replies).add(key, what)) return;
    const { family, protocol, address, port } = what;
    const { words } = addressWords(address);
    (ofServices ? this.#virtualMap : this.#replyMap).set(protocolNumber(protocol), family, words, port, 1);
    if ((ofServices ? this.#virtualHosts : this.#servers).add(address, address))
      (ofServices ? this.#virtualHostMap : this.#serverMap).set(0, family, words, 0, 1);
  }

  #remove({ kind, key, what }: Claim): void {
    if (kind === 'marks') {
      this.#marks.remove(key);
      return;
    }
    const ofServices = kind === 'services';
    if (!(ofServices ? this.#services : this.#replies).remove(key)) return;
    const { family, protocol, address, port } = what;
    const { words } = addressWords(address);
    (ofServices ? this.#virtualMap : this.#replyMap).delete(protocolNumber(protocol), family, words, port);
    if ((ofServices ? this.#virtualHosts : this.#servers).remove(address))
      (ofServices ? this.#virtualHostMap : this.#serverMap).delete(0, family, words, 0);
  }
}

function claimsOf({ id, destinations, persistent }: Claimant): readonly Claim[] {
  const claims: Claim[] = [];
  if (id.kind === 'fwmark') {
    const family = id.family === 'inet' ? 4 : 6;
    const { mark } = id;
    claims.push({ kind: 'marks', key: markKey(family, mark), what: { family, mark } });
  } else {
    const port = persistent && id.port === FTP ? 0 : id.port;
    claims.push(endpointClaim('services', id.protocol, id.address, port));
  }
  const protocols = id.kind === 'fwmark' ? (['tcp', 'udp'] as const) : [id.protocol];
  for (const destination of destinations) {
    if (destination.settings.forwarding !== 'masq') continue;
    const { address, port } = replyEnd(destination, persistent || id.kind === 'fwmark');
    for (const protocol of protocols) claims.push(endpointClaim('replies', protocol, address, port));
  }
  return claims;
}

function endpointClaim(
  kind: 'services' | 'replies',
  protocol: GuardedEndpoint['protocol'],
  address: Address,
  port: number,
): Claim {
  const family = familyOf(address) === 'inet' ? 4 : 6;
  return { kind, key: `${protocol} ${address} ${port}`, what: { family, protocol, address, port } };
}

function markKey(family: 4 | 6, mark: number): string {
  return `${family} ${mark}`;
}

function isNothing({ added, removed }: SetChange<unknown>): boolean {
  return added.length + removed.length === 0;
}

/** With more than one port behind a template, the server answers from the port that the client asked for. */
function replyEnd(
  { id }: Pick<PoolDestination, 'id'>,
  everyPort: boolean,
): { address: Address; port: number } {
  return { address: id.address, port: everyPort && id.port === FTP ? 0 : id.port };
}

function has(map: EndpointMap, packet: IpPacket, words: Int32Array, port: number): boolean {
  const { protocol, family } = packet;
  return map.get(protocol, family, words, port) !== ABSENT || map.get(protocol, family, words, 0) !== ABSENT;
}

function isError(packet: IpPacket): boolean {
  return packet.family === 4 ? isIcmpError(packet.icmpType) : isIcmpv6Error(packet.icmpType);
}
