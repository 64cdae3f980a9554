/**
 * Which packets are the engine's and not the kernel's: those to a virtual service, and those that a NAT real server sends to somebody
 * else. One definition for three readers: the capture filter, the kernel guard, and the question what to do with a packet that the
 * forwarder passes. A deleted service stays claimed while connections refer to it: as with IPVS, their packets are nobody else's.
 */
import type { ServiceId } from '../../director/table.ts';
import { serviceFamily } from '../../director/table.ts';
import type { GuardClaims } from '../../platform/kernel-guard.ts';
import type { Address } from '../../util/ip.ts';
import { familyOf } from '../../util/ip.ts';
import { isIcmpError } from '../../wire/icmp.ts';
import { isIcmpv6Error } from '../../wire/icmpv6.ts';
import type { IpPacket } from '../../wire/ip-packet.ts';
import { addressWords } from '../address-words.ts';
import type { PoolDestination } from '../pool-table.ts';
import { ABSENT, EndpointMap } from './forwarding/endpoint-map.ts';
import { FTP, protocolNumber } from './forwarding/services.ts';

/** A service, or what is left of it, with the destinations that may have connections. */
export interface Claimant {
  readonly id: ServiceId;
  readonly destinations: Iterable<Pick<PoolDestination, 'id' | 'settings'>>;
  readonly persistent: boolean;
}

export class Claims {
  readonly state: GuardClaims;
  /** Addresses that clients connect to, and those of real servers whose replies come back. */
  readonly virtual: readonly Address[];
  readonly servers: readonly Address[];
  readonly #virtual = new EndpointMap();
  readonly #replies = new EndpointMap();
  readonly #hosts = new EndpointMap();
  readonly #virtualHosts = new EndpointMap();
  readonly #marks = { 4: new Set<number>(), 6: new Set<number>() };
  readonly #words = new Int32Array(4);

  constructor(claimants: Iterable<Claimant>) {
    const services = new Map<string, GuardClaims['services'][number]>();
    const replies = new Map<string, GuardClaims['replies'][number]>();
    const marks = new Map<string, GuardClaims['marks'][number]>();
    for (const { id, destinations, persistent } of claimants) {
      const family = serviceFamily(id) === 'inet' ? 4 : 6;
      if (id.kind === 'fwmark') {
        marks.set(`${family} ${id.mark}`, { family, mark: id.mark });
        this.#marks[family].add(id.mark);
      } else {
        const port = persistent && id.port === FTP ? 0 : id.port;
        const { protocol, address } = id;
        services.set(`${protocol} ${address} ${port}`, { family, protocol, address, port });
        this.#virtual.set(protocolNumber(protocol), family, addressWords(address).words, port, 1);
        this.#virtualHosts.set(0, family, addressWords(address).words, 0, 1);
      }
      for (const destination of destinations) {
        if (destination.settings.forwarding !== 'masq') continue;
        const { address, port } = replyEnd(destination, persistent || id.kind === 'fwmark');
        for (const protocol of id.kind === 'fwmark' ? (['tcp', 'udp'] as const) : [id.protocol]) {
          const of = familyOf(address) === 'inet' ? 4 : 6;
          replies.set(`${protocol} ${address} ${port}`, { family: of, protocol, address, port });
          this.#replies.set(protocolNumber(protocol), of, addressWords(address).words, port, 1);
          this.#hosts.set(0, of, addressWords(address).words, 0, 1);
        }
      }
    }
    this.state = {
      services: [...services.values()],
      replies: [...replies.values()],
      marks: [...marks.values()],
    };
    this.virtual = [...new Set(this.state.services.map(({ address }) => address))];
    this.servers = [...new Set(this.state.replies.map(({ address }) => address))];
  }

  /** Whether there is anything to capture. */
  get isEmpty(): boolean {
    const { services, marks } = this.state;
    return services.length + marks.length === 0;
  }

  get marked(): boolean {
    return this.state.marks.length > 0;
  }

  /** A TCP or UDP packet to a virtual service. */
  hasVirtual(packet: IpPacket): boolean {
    packet.copyDestination(this.#words);
    return has(this.#virtual, packet, this.#words, packet.destinationPort);
  }

  /** A packet that the guard stops because a NAT real server sent it: from its port, a later fragment, or an ICMP error. */
  stopsReply(packet: IpPacket): boolean {
    packet.copySource(this.#words);
    if (packet.hasPorts) return has(this.#replies, packet, this.#words, packet.sourcePort);
    if (packet.fragmentOffset === 0 && !isError(packet)) return false;
    return this.#hosts.get(0, packet.family, this.#words, 0) !== ABSENT;
  }

  /** Stopped too, but for this host: a program on it is a client of the service, or checks the server from the virtual address. */
  stopsReplyToVirtual(packet: IpPacket): boolean {
    packet.copyDestination(this.#words);
    const toVirtual = this.#virtualHosts.get(0, packet.family, this.#words, 0) !== ABSENT;
    return toVirtual && this.stopsReply(packet);
  }

  hasMark(family: 4 | 6, mark: number): boolean {
    return this.#marks[family].has(mark);
  }
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
