/**
 * ICMP errors about connections of ours, found by the packet that they quote. From a server's side to the client, from a client's side
 * to the server, and from a router on the way of a tunnel, which speaks of the outer packet and is answered for the inner one. Other
 * ICMP, such as echo to a VIP, is the host's own business.
 */
import { ConnectionKey } from '../../../connections/connection-key.ts';
import { NO_SLOT } from '../../../connections/connection-table.ts';
import { read16, read32, write16, writeAddress } from '../../../wire/bytes.ts';
import { completeChecksum, fold, sum, transportIsValid } from '../../../wire/checksum.ts';
import { ICMP_HEADER, IcmpType, UnreachableCode } from '../../../wire/icmp.ts';
import { Icmpv6Type, isIcmpv6Error } from '../../../wire/icmpv6.ts';
import { IpPacket, Malformed } from '../../../wire/ip-packet.ts';
import { Protocol } from '../../../wire/protocols.ts';
import { decrementTtl, rewriteDestination, rewriteSource } from '../../../wire/rewrite.ts';
import type { Server } from './destinations.ts';
import { Method } from '../../service-facts.ts';
import { NO_HOP } from './egress.ts';
import { keyOfFlow, keyOfReply } from './flow-keys.ts';
import type { IcmpErrors } from './icmp-errors.ts';
import type { ForwarderParts } from './parts.ts';
import { METHOD_MASK } from './parts.ts';
import type { Traffic } from './traffic.ts';
import type { Transmitter } from './transmitter.ts';
import { Drop, Verdict } from './verdict.ts';

/** UDP and GUE; the GRE flag that a checksum follows. */
const GUE_HEADERS = 12;
const GRE_HEADER = 4;
const GRE_CHECKSUM_PRESENT = 0x80;
/** A tunnel's MTU below this is not told on (RFC 791, and the outer header). */
const LEAST_MTU = 68;

export class IcmpTranslation {
  readonly #parts: ForwarderParts;
  readonly #icmp: IcmpErrors;
  readonly #transmitter: Transmitter;
  readonly #traffic: Traffic;
  readonly #key = new ConnectionKey();
  readonly #quoted = new IpPacket();
  readonly #inner = new IpPacket();
  readonly #words = new Int32Array(4);

  constructor(parts: ForwarderParts, icmp: IcmpErrors, transmitter: Transmitter, traffic: Traffic) {
    this.#parts = parts;
    this.#icmp = icmp;
    this.#transmitter = transmitter;
    this.#traffic = traffic;
  }

  /** An ICMP or ICMPv6 packet. */
  handle(packet: IpPacket, now: number): Verdict {
    if (!isForwardedError(packet)) return Verdict.pass;
    const quoted = this.#quoted;
    const at = packet.transport + ICMP_HEADER;
    if (quoted.readQuoted(packet.bytes, at, packet.at + packet.length - at) !== Malformed.none)
      return Verdict.pass;
    if (isTunnel(quoted.protocol)) {
      const verdict = this.#aboutTunnel(packet, quoted);
      if (verdict !== Verdict.pass) return verdict;
    }
    if (quoted.fragmentOffset > 0) return Verdict.pass;
    const { connections } = this.#parts;
    // the client's side quotes what the client got: a reply
    keyOfReply(this.#key, quoted);
    let slot = connections.find(this.#key);
    if (slot !== NO_SLOT) return this.#toServer(packet, slot);
    // the server's side quotes what the server got: a flow that was translated to its address
    keyOfFlow(this.#key, quoted);
    slot = connections.findReply(this.#key, METHOD_MASK);
    return slot === NO_SLOT ? Verdict.pass : this.#toClient(packet, slot, now);
  }

  #toServer(packet: IpPacket, slot: number): Verdict {
    const { connections, destinations, drops } = this.#parts;
    if (!transportIsValid(packet)) return drops.drop(Drop.badChecksum);
    const destination = connections.destination(slot);
    const method = connections.flags(slot) & METHOD_MASK;
    this.#traffic.incoming(destination, packet.length);
    if (method === Method.masq) {
      const server = destinations.at(destination);
      if (server === undefined) return drops.drop(Drop.noRoute);
      const port = connections.destinationPort(slot);
      translateQuoted(this.#quoted, 'source', server.words, port);
      rewriteDestination(packet, server.words, port);
      completeChecksum(packet);
    }
    return this.#transmitter.errorToServer(packet, method, destination);
  }

  #toClient(packet: IpPacket, slot: number, now: number): Verdict {
    const { connections, egress, drops } = this.#parts;
    if (!transportIsValid(packet)) return drops.drop(Drop.badChecksum);
    if (packet.ttl <= 1) {
      this.#icmp.timeExceeded(packet, now);
      return Verdict.sent;
    }
    packet.copyDestination(this.#words);
    const hop = egress.hopTo(this.#words, packet.family);
    if (hop === NO_HOP) return drops.drop(Drop.noRoute);
    this.#traffic.outgoing(connections.destination(slot), packet.length);
    connections.key(slot, this.#key);
    translateQuoted(this.#quoted, 'destination', this.#key.virtual, this.#key.virtualPort);
    rewriteSource(packet, this.#key.virtual, this.#key.virtualPort);
    decrementTtl(packet);
    completeChecksum(packet);
    this.#transmitter.send(packet, hop, egress.mtuTo(this.#words, packet.family, hop), 0);
    return Verdict.sent;
  }

  /** Learns the path MTU, and tells the client what it means for the packet inside. */
  #aboutTunnel(packet: IpPacket, outer: IpPacket): Verdict {
    const inner = this.#inner;
    const at = innerOffset(outer);
    const available = packet.at + packet.length - at;
    if (at < 0 || available <= 0) return Verdict.pass;
    if (inner.readQuoted(packet.bytes, at, available) !== Malformed.none) return Verdict.pass;
    const { connections, destinations, egress, drops } = this.#parts;
    keyOfFlow(this.#key, inner);
    const slot = connections.find(this.#key);
    if (slot === NO_SLOT || (connections.flags(slot) & METHOD_MASK) !== Method.tunnel) return Verdict.pass;
    const server = destinations.at(connections.destination(slot));
    // who knows no more than the client's address and the virtual one makes it up
    if (server === undefined || !this.#isTo(outer, server)) return Verdict.pass;
    if (!transportIsValid(packet)) return drops.drop(Drop.badChecksum);
    const { bytes, transport } = packet;
    const type = bytes[transport] as number;
    const code = bytes[transport + 1] as number;
    const mtu = packet.family === 4 ? read16(bytes, transport + 6) : read32(bytes, transport + 4) >>> 0;
    const tooBig =
      packet.family === 4
        ? type === IcmpType.unreachable && code === UnreachableCode.fragmentationNeeded
        : type === Icmpv6Type.packetTooBig;
    if (!tooBig) {
      if (inner.family === packet.family) this.#icmp.relay(inner, type, code, 0);
      return Verdict.sent;
    }
    egress.learnMtu(server.words, server.family, mtu);
    if (inner.family === 4 && !inner.dontFragment) return Verdict.sent;
    const spent = at - outer.at;
    this.#icmp.tooBig(inner, mtu > LEAST_MTU + spent ? mtu - spent : mtu);
    return Verdict.sent;
  }

  #isTo(outer: IpPacket, { family, words }: Server): boolean {
    outer.copyDestination(this.#words);
    return outer.family === family && this.#words.every((word, i) => word === words[i]);
  }
}

/** The errors that IPVS forwards: in ICMPv6 all of them, in ICMP these three. */
function isForwardedError(packet: IpPacket): boolean {
  const type = packet.icmpType;
  if (packet.family === 6) return isIcmpv6Error(type);
  return type === IcmpType.unreachable || type === IcmpType.sourceQuench || type === IcmpType.timeExceeded;
}

function isTunnel(protocol: number): boolean {
  return (
    protocol === Protocol.ipip ||
    protocol === Protocol.ipv6 ||
    protocol === Protocol.gre ||
    protocol === Protocol.udp
  );
}

/** Where the packet in a tunnel's packet begins, or -1. A UDP packet that is no tunnel's is found out by its content. */
function innerOffset(outer: IpPacket): number {
  switch (outer.protocol) {
    case Protocol.udp:
      return outer.transport + GUE_HEADERS;
    case Protocol.gre:
      return (
        outer.transport +
        (((outer.bytes[outer.transport] as number) & GRE_CHECKSUM_PRESENT) !== 0
          ? 2 * GRE_HEADER
          : GRE_HEADER)
      );
    default:
      return outer.transport;
  }
}

/** Address and port of one end of a quoted packet. Of its checksums only that of the IPv4 header is there for sure. */
function translateQuoted(
  quoted: IpPacket,
  end: 'source' | 'destination',
  words: Int32Array,
  port: number,
): void {
  const { bytes, at, transport } = quoted;
  const isSource = end === 'source';
  const source = at + (quoted.family === 4 ? 12 : 8);
  writeAddress(bytes, isSource ? source : source + (quoted.family === 4 ? 4 : 16), words, quoted.family);
  write16(bytes, transport + (isSource ? 0 : 2), port);
  if (quoted.family === 6) return;
  write16(bytes, at + 10, 0);
  write16(bytes, at + 10, ~fold(sum(bytes, at, quoted.headerLength)) & 0xffff);
}
