/**
 * The forwarding methods of IPVS: NAT rewrites the destination, direct routing only chooses the next hop, a tunnel wraps the packet,
 * and what is for this host goes to its own stack. All take one from the TTL, and tell the sender when that was the last one or when
 * the packet does not fit. Hot path.
 */
import { read16 } from '../../../wire/bytes.ts';
import { completeChecksum, hasPartialChecksum } from '../../../wire/checksum.ts';
import type { IpPacket } from '../../../wire/ip-packet.ts';
import { Malformed } from '../../../wire/ip-packet.ts';
import { Protocol } from '../../../wire/protocols.ts';
import type { Outer } from '../../../wire/encapsulation.ts';
import { encapsulate, overhead } from '../../../wire/encapsulation.ts';
import { fragment } from '../../../wire/fragmentation.ts';
import { segment } from '../../../wire/segmentation.ts';
import { decrementTtl, rewriteDestination } from '../../../wire/rewrite.ts';
import { Method } from '../../service-facts.ts';
import type { Server } from './destinations.ts';
import { NO_HOP, Place } from './egress.ts';
import type { Egress } from './egress.ts';
import type { IcmpErrors } from './icmp-errors.ts';
import type { ForwarderParts } from './parts.ts';
import type { Traffic } from './traffic.ts';
import { Drop, Verdict } from './verdict.ts';

/** Bytes before a packet that is made anew, for headers in front of it. */
const HEADROOM = 64;
const LARGEST = 65535 + 64;
/** A tunnel does not tell a smaller MTU than this (RFC 791). */
const LEAST_MTU = 68;

export class Transmitter {
  readonly #parts: ForwarderParts;
  readonly #egress: Egress;
  readonly #icmp: IcmpErrors;
  readonly #traffic: Traffic;
  readonly #outgoing = new Uint8Array(HEADROOM + LARGEST);
  readonly #fragments = new Uint8Array(HEADROOM + LARGEST);
  readonly #segments = new Uint8Array(HEADROOM + LARGEST);
  /** Bytes of the longest IP packet that the interface could have carried: a longer one was merged, or never cut. */
  linkMtu = Infinity;
  #identification: number;
  #hop = NO_HOP;

  constructor(parts: ForwarderParts, icmp: IcmpErrors, traffic: Traffic) {
    this.#parts = parts;
    this.#traffic = traffic;
    this.#egress = parts.egress;
    this.#icmp = icmp;
    this.#identification = parts.seed & 0xffff;
  }

  /**
   * A packet from a client to its destination.
   * @param port - of the destination, for NAT
   * @param most - bytes of the largest fragment that it came in, or 0 when it came whole
   */
  toServer(
    packet: IpPacket,
    method: number,
    destination: number,
    port: number,
    most: number,
    now: number,
  ): Verdict {
    const server = this.#parts.destinations.at(destination);
    const hop = this.#egress.serverHop(destination);
    if (server === undefined || hop === NO_HOP) return this.#noRoute(packet, now);
    const place = this.#egress.place(hop, server.words, server.family);
    if (method === Method.local || place !== Place.remote)
      return this.#toSelf(packet, method, server, port, place);
    if (packet.ttl <= 1) {
      this.#count(method, destination, this.#icmp.timeExceeded(packet, now));
      return Verdict.sent;
    }
    decrementTtl(packet);
    if (method === Method.tunnel) return this.#tunnel(packet, destination, server, hop, most);
    const mtu = this.#egress.mtuTo(server.words, server.family, hop);
    if (!this.#mayGo(packet, mtu, most)) {
      this.#count(method, destination, this.#icmp.tooBig(packet, mtu));
      return Verdict.sent;
    }
    if (method === Method.masq) {
      completeMissingChecksum(packet);
      rewriteDestination(packet, server.words, port);
    }
    this.send(packet, hop, mtu, most);
    return Verdict.sent;
  }

  /** An ICMP error for a server, translated already if that is the method. Nobody is told of an error about an error. */
  errorToServer(packet: IpPacket, method: number, destination: number): Verdict {
    const { destinations, drops } = this.#parts;
    const server = destinations.at(destination);
    const hop = this.#egress.serverHop(destination);
    if (server === undefined || hop === NO_HOP || packet.ttl <= 1) return drops.drop(Drop.noRoute);
    if (method === Method.local || this.#egress.place(hop, server.words, server.family) !== Place.remote) {
      if (method !== Method.masq) return Verdict.pass;
      this.#egress.local(packet.bytes, packet.at, packet.length);
      return Verdict.sent;
    }
    decrementTtl(packet);
    if (method === Method.tunnel) return this.#tunnel(packet, destination, server, hop, 0);
    this.send(packet, hop, this.#egress.mtuTo(server.words, server.family, hop), 0);
    return Verdict.sent;
  }

  /** Whether a packet may go on, perhaps in fragments; if not, its sender is told. `most` as in {@link toServer}. */
  fits(packet: IpPacket, mtu: number, most: number): boolean {
    const fits = this.#mayGo(packet, mtu, most);
    if (!fits) this.#icmp.tooBig(packet, mtu);
    return fits;
  }

  #mayGo(packet: IpPacket, mtu: number, most: number): boolean {
    if (packet.length <= mtu || this.isMerged(packet)) return true;
    return packet.family === 4 ? !packet.dontFragment : most > 0 && most <= mtu;
  }

  /** IPVS sees what the director itself tells a client of a one-way connection, and takes it for a reply. */
  #count(method: number, destination: number, bytes: number): void {
    if (method !== Method.masq && bytes > 0) this.#traffic.outgoing(destination, bytes);
  }

  /** Sends what {@link fits}, in fragments if need be, and in no larger ones than it came in. */
  send(packet: IpPacket, hop: number, mtu: number, most: number): void {
    const limit = most > 0 && most < mtu ? most : mtu;
    if (this.isMerged(packet)) {
      segment(packet, Math.min(mtu, this.linkMtu), this.#segments, ({ bytes, at, length }) => {
        this.#egress.send(hop, bytes, at, length);
      });
      return;
    }
    if (packet.length <= limit) {
      this.#egress.send(hop, packet.bytes, packet.at, packet.length);
      return;
    }
    this.#hop = hop;
    if (!fragment(packet, limit, this.#fragments, this.#nextIdentification(), this.#sendFragment))
      this.#parts.drops.drop(Drop.tooLarge);
  }

  /** Longer than the interface can carry: a sender on this machine left the cutting to us. */
  isMerged(packet: IpPacket): boolean {
    return packet.length > this.linkMtu && packet.protocol === Protocol.tcp;
  }

  readonly #sendFragment = (bytes: Uint8Array, at: number, length: number): void => {
    this.#egress.send(this.#hop, bytes, at, length);
  };

  #tunnel(packet: IpPacket, destination: number, server: Server, hop: number, most: number): Verdict {
    const outer = this.outer(server, hop);
    const pathMtu = this.#egress.mtuTo(server.words, server.family, hop);
    const mtu = Math.max(LEAST_MTU, pathMtu - overhead(outer));
    if (this.isMerged(packet)) {
      let verdict: Verdict = Verdict.sent;
      segment(packet, Math.min(mtu, this.linkMtu), this.#segments, (piece) => {
        verdict = this.#encapsulate(piece, outer, hop, pathMtu, 0);
      });
      return verdict;
    }
    if (packet.length > mtu && (packet.family === 6 || (packet.dontFragment && outer.copyDf))) {
      this.#count(Method.tunnel, destination, this.#icmp.tooBig(packet, mtu));
      return Verdict.sent;
    }
    return this.#encapsulate(packet, outer, hop, pathMtu, most);
  }

  #encapsulate(packet: IpPacket, outer: Outer, hop: number, pathMtu: number, most: number): Verdict {
    const length = encapsulate(packet, outer, this.#outgoing, HEADROOM, this.#nextIdentification());
    const whole = this.#parts.scratch;
    if (length === 0 || whole.read(this.#outgoing, HEADROOM, length) !== Malformed.none) {
      return this.#parts.drops.drop(Drop.tooLarge);
    }
    this.send(whole, hop, pathMtu, most);
    return Verdict.sent;
  }

  /** The outer header towards a server: its fields are filled in anew, for routes change. */
  outer(server: Server, hop: number): Outer {
    const outer = this.#outer;
    outer.kind = server.tunnel?.kind ?? 'ipip';
    outer.port = server.tunnel?.port ?? 0;
    outer.checksum = server.tunnel?.checksum ?? false;
    outer.family = server.family;
    outer.source = this.#egress.source(hop);
    outer.destination = server.words;
    outer.copyDf = this.#parts.settings.pmtu_disc !== 0;
    return outer;
  }

  readonly #outer: { -readonly [K in keyof Outer]: Outer[K] } = {
    kind: 'ipip',
    family: 4,
    source: new Int32Array(4),
    destination: new Int32Array(4),
    port: 0,
    checksum: false,
    copyDf: true,
  };

  /** NAT to an address of this host is a rewrite; every other method leaves the packet as it is, for a socket on the VIP. */
  #toSelf(packet: IpPacket, method: number, server: Server, port: number, place: Place): Verdict {
    if (method !== Method.masq) return Verdict.pass;
    if (place === Place.loopback) return this.#parts.drops.drop(Drop.toLoopback);
    completeMissingChecksum(packet);
    // what is cut gets its checksum then, and this is not cut
    if (this.isMerged(packet) && hasPartialChecksum(packet)) completeChecksum(packet);
    rewriteDestination(packet, server.words, port);
    this.#egress.local(packet.bytes, packet.at, packet.length);
    return Verdict.sent;
  }

  #noRoute(packet: IpPacket, now: number): Verdict {
    this.#icmp.hostUnreachable(packet, now);
    return this.#parts.drops.drop(Drop.noRoute);
  }

  #nextIdentification(): number {
    this.#identification = (this.#identification + 1) & 0xffff;
    return this.#identification;
  }
}

/** NAT gives UDP packets that came without a checksum one, as IPVS does. */
export function completeMissingChecksum(packet: IpPacket): void {
  const { bytes, transport } = packet;
  if (packet.protocol === Protocol.udp && read16(bytes, transport + 6) === 0) completeChecksum(packet);
}
