/**
 * The director of packets, pure: one IP packet in, a verdict out, and packets to an {@link Egress}. It does what IPVS does, in the order
 * in which IPVS does it. No I/O and no clock: whoever drives it passes both in. Hot path: nothing allocates per packet.
 *
 * ```
 *   packet -> whole datagram -> ICMP error?         -> icmp-translation
 *                               known connection?   -> state, counters -> transmitter -> server
 *                               reply of a server?  -> state, counters -> source rewritten -> client
 *                               begun by a server?  -> new-connections -> as a reply
 *                               a service for it?   -> new-connections -> as a known connection
 * ```
 */
import { ConnectionKey } from '../../../connections/connection-key.ts';
import { NO_SLOT } from '../../../connections/connection-table.ts';
import { TCP, UDP } from '../../../connections/protocols.ts';
import { Direction, nextTcpState, tcpEvent, TcpState } from '../../../connections/tcp-states.ts';
import { NONE } from '../../../scheduling/pool.ts';
import { completeChecksum, hasPartialChecksum } from '../../../wire/checksum.ts';
import { IpPacket, Malformed } from '../../../wire/ip-packet.ts';
import { Protocol } from '../../../wire/protocols.ts';
import { decrementTtl, rewriteSource } from '../../../wire/rewrite.ts';
import { Method } from '../../service-facts.ts';
import { NO_HOP, Place } from './egress.ts';
import { keyOfFlow, keyOfReply } from './flow-keys.ts';
import { IcmpErrors } from './icmp-errors.ts';
import { IcmpTranslation } from './icmp-translation.ts';
import { isMartian } from './martians.ts';
import { NewConnections } from './new-connections.ts';
import type { ForwarderParts } from './parts.ts';
import { METHOD_MASK, REPLIED } from './parts.ts';
import { Reassembly } from './reassembly.ts';
import { Traffic } from './traffic.ts';
import { completeMissingChecksum, Transmitter } from './transmitter.ts';
import { Drop, Verdict } from './verdict.ts';

const SYN = 0x02;
const RST = 0x04;
const IPV4_HEADER = 20;
const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
const LOOSE_ROUTE = 131;
const STRICT_ROUTE = 137;
/** Where an entry of the connection table keeps the hop to its client: the number plus one, 0 for none yet. */
const CLIENT_HOP = 0;

export class Forwarder {
  readonly #parts: ForwarderParts;
  readonly #icmp: IcmpErrors;
  readonly #transmitter: Transmitter;
  readonly #translation: IcmpTranslation;
  readonly #fresh: NewConnections;
  readonly #traffic: Traffic;
  readonly #reassembly = new Reassembly({});
  readonly #view = new IpPacket();
  readonly #key = new ConnectionKey();
  readonly #replyKey = new ConnectionKey();
  #packet: IpPacket = this.#view;
  /** Bytes of the largest fragment that the packet came in, or 0 when it came whole. */
  #most = 0;
  #now = 0;
  #fromSelf = false;
  readonly #words = new Int32Array(4);

  constructor(parts: ForwarderParts) {
    this.#parts = parts;
    this.#traffic = new Traffic(parts);
    this.#icmp = new IcmpErrors(parts.egress, parts.seed);
    this.#transmitter = new Transmitter(parts, this.#icmp, this.#traffic);
    this.#translation = new IcmpTranslation(parts, this.#icmp, this.#transmitter, this.#traffic);
    this.#fresh = new NewConnections(parts, this.#icmp, this.#traffic);
  }

  /** The packet of the last verdict, in one piece even when it came in fragments. */
  get packet(): IpPacket {
    return this.#packet;
  }

  /**
   * @param at - where the IP header begins; the 14 bytes before it may be overwritten, and so may the packet
   * @param available - bytes from there on
   * @param now - milliseconds
   * @param linkMtu - of the interface that it came in on; longer TCP packets are cut as a network card would have done
   * @param fromSelf - a program on this host sent it; from outside such a source is a lie
   */
  forward(
    bytes: Uint8Array,
    at: number,
    available: number,
    now: number,
    linkMtu = Infinity,
    fromSelf = false,
  ): Verdict {
    let packet = this.#view;
    this.#packet = packet;
    this.#now = now;
    this.#fromSelf = fromSelf;
    this.#transmitter.linkMtu = linkMtu;
    if (packet.read(bytes, at, available) !== Malformed.none) return this.#parts.drops.drop(Drop.malformed);
    if (isMartian(packet)) return this.#parts.drops.drop(Drop.martian);
    if (!this.#parts.services.any(packet.family)) return Verdict.pass;
    if (isSourceRouted(packet)) return this.#parts.drops.drop(Drop.sourceRouted);
    this.#most = 0;
    if (packet.isFragment) {
      const whole = this.#reassembly.add(packet, now);
      if (whole === undefined) return Verdict.sent;
      this.#most = this.#reassembly.largestFragment;
      this.#packet = packet = whole;
    }
    switch (packet.protocol) {
      case TCP:
      case UDP:
        return this.#transport(packet);
      case Protocol.icmp:
        return packet.family === 4 ? this.#icmpMessage(packet) : Verdict.pass;
      case Protocol.icmpv6:
        return packet.family === 6 ? this.#icmpMessage(packet) : Verdict.pass;
      default:
        return Verdict.pass;
    }
  }

  #icmpMessage(packet: IpPacket): Verdict {
    if (this.#isForged(packet)) return this.#parts.drops.drop(Drop.martian);
    return this.#translation.handle(packet, this.#now);
  }

  /** It came from outside with an address of this host as its source. */
  #isForged(packet: IpPacket): boolean {
    if (this.#fromSelf) return false;
    packet.copySource(this.#words);
    return this.#parts.egress.isOwn(this.#words, packet.family);
  }

  /** Whether the packet of the last verdict is addressed to this host itself. */
  isForThisHost(): boolean {
    this.#packet.copyDestination(this.#replyKey.client);
    return this.#parts.egress.isOwn(this.#replyKey.client, this.#packet.family);
  }

  /** Routes the packet of the last verdict as this host would have, had it not been stopped on the way. */
  routeOn(): void {
    const packet = this.#packet;
    const { egress, drops } = this.#parts;
    packet.copyDestination(this.#replyKey.client);
    const hop = egress.hopTo(this.#replyKey.client, packet.family);
    if (hop === NO_HOP) drops.drop(Drop.noRoute);
    // the guard stops none that are for this host
    else if (egress.place(hop, this.#replyKey.client, packet.family) !== Place.remote) return;
    else if (packet.ttl <= 1) this.#icmp.timeExceeded(packet, this.#now);
    else {
      const mtu = egress.mtuTo(this.#replyKey.client, packet.family, hop);
      if (!this.#transmitter.fits(packet, mtu, this.#most)) return;
      decrementTtl(packet);
      this.#transmitter.send(packet, hop, mtu, this.#most);
    }
  }

  /** Lets time pass; to be called about once a second. */
  advance(now: number): void {
    this.#reassembly.advance(now);
  }

  #transport(packet: IpPacket): Verdict {
    const { connections, settings, beginners } = this.#parts;
    // a sender on this machine (a container, a virtual machine) may leave checksums to hardware that is not there
    if (hasPartialChecksum(packet) && !this.#transmitter.isMerged(packet)) completeChecksum(packet);
    keyOfFlow(this.#key, packet);
    const slot = connections.find(this.#key);
    if (slot !== NO_SLOT) {
      if (this.#carriesOn(slot, packet)) return this.#input(slot, packet, false);
      if (connections.find(this.#key) !== NO_SLOT) return this.#parts.drops.drop(Drop.destinationDeleted);
    } else {
      keyOfReply(this.#replyKey, packet);
      const reply = connections.findReply(this.#replyKey, METHOD_MASK);
      if (reply !== NO_SLOT) return this.#output(reply, packet);
      if (!beginners.isEmpty) {
        const destination = this.#fresh.beginner(packet, this.#replyKey);
        if (destination !== NONE) return this.#begun(destination, packet);
      }
      if (settings.nat_icmp_send !== 0 && this.#isStrayReply(packet)) return this.#rejectStrayReply(packet);
    }
    return this.#new(packet);
  }

  /** Whether a client's packet belongs to the entry with its key. If not, the entry has ended, or its server was deleted. */
  #carriesOn(slot: number, packet: IpPacket): boolean {
    const { connections, pool, settings } = this.#parts;
    const destination = connections.destination(slot);
    if (packet.protocol === TCP && (packet.tcpFlags & SYN) !== 0 && settings.conn_reuse_mode !== 0) {
      const quiescent = settings.expire_nodest_conn !== 0 && pool.weight(destination) === 0;
      if (quiescent || this.#isOver(slot)) {
        connections.expire(slot);
        return false;
      }
    }
    if (pool.available(destination)) return true;
    if (settings.expire_nodest_conn !== 0) connections.expire(slot);
    return false;
  }

  /** A client that opens a connection anew from the same port need not go to the same server: IPVS's `conn_reuse_mode`. */
  #isOver(slot: number): boolean {
    const { connections, settings } = this.#parts;
    if (connections.template(slot) !== NO_SLOT) return false;
    const state = connections.state(slot);
    if (state === TcpState.timeWait || state === TcpState.close) return true;
    const oneWay = (connections.flags(slot) & METHOD_MASK) !== Method.masq;
    return (settings.conn_reuse_mode & 2) !== 0 && state === TcpState.finWait && oneWay;
  }

  #new(packet: IpPacket): Verdict {
    if (this.#isForged(packet)) return this.#parts.drops.drop(Drop.martian);
    const made = this.#fresh.place(packet, this.#key, this.#now);
    if (made !== NewConnections.made) return made;
    const { slot, destination } = this.#fresh.placed;
    if (slot !== NO_SLOT) return this.#input(slot, packet, true);
    this.#traffic.incoming(destination, packet.length);
    const server = this.#parts.destinations.at(destination);
    const port = server?.port === 0 || server === undefined ? packet.destinationPort : server.port;
    return this.#transmitter.toServer(
      packet,
      server?.method ?? Method.masq,
      destination,
      port,
      this.#most,
      this.#now,
    );
  }

  /** From the client to its destination. */
  #input(slot: number, packet: IpPacket, isNew: boolean): Verdict {
    const { connections } = this.#parts;
    const destination = connections.destination(slot);
    const flags = connections.flags(slot);
    const method = flags & METHOD_MASK;
    this.#traffic.incoming(destination, packet.length);
    if (packet.protocol === TCP) {
      const asksAgain = (packet.tcpFlags & SYN) !== 0 && connections.state(slot) === TcpState.synRecv;
      if (asksAgain && method === Method.masq && (flags & REPLIED) === 0)
        this.#parts.unanswered(destination, this.#key.client);
      this.#step(slot, method === Method.masq ? Direction.input : Direction.inputOnly, packet.tcpFlags);
    } else {
      if (!isNew) connections.confirm(slot);
      connections.touch(slot, this.#now);
    }
    const port = connections.destinationPort(slot);
    return this.#transmitter.toServer(packet, method, destination, port, this.#most, this.#now);
  }

  /** From a NAT server back to the client. */
  #output(slot: number, packet: IpPacket): Verdict {
    if (packet.ttl <= 1) return this.#expired(packet);
    const { connections } = this.#parts;
    const hop = this.#clientHop(slot, packet.family);
    if (hop === NO_HOP) return this.#parts.drops.drop(Drop.noRoute);
    const mtu = this.#parts.egress.mtuTo(this.#replyKey.client, packet.family, hop);
    if (!this.#transmitter.fits(packet, mtu, this.#most)) return Verdict.sent;
    this.#traffic.outgoing(connections.destination(slot), packet.length);
    connections.setFlags(slot, connections.flags(slot) | REPLIED);
    if (packet.protocol === TCP) this.#step(slot, Direction.output, packet.tcpFlags);
    else {
      connections.answered(slot);
      connections.touch(slot, this.#now);
    }
    connections.key(slot, this.#key);
    this.#sendAsVirtual(packet, hop, mtu);
    return Verdict.sent;
  }

  /** From a server to a client that has not spoken before, or whose words left no entry. */
  #begun(destination: number, packet: IpPacket): Verdict {
    if (packet.ttl <= 1) return this.#expired(packet);
    const { connections, egress, drops } = this.#parts;
    const hop = egress.hopTo(this.#replyKey.client, packet.family);
    if (hop === NO_HOP) return drops.drop(Drop.noRoute);
    const mtu = egress.mtuTo(this.#replyKey.client, packet.family, hop);
    if (!this.#transmitter.fits(packet, mtu, this.#most)) return Verdict.sent;
    this.#key.words.set(this.#replyKey.words);
    if (!this.#fresh.begin(destination, packet, this.#key, this.#now)) return drops.drop(Drop.tableFull);
    const { slot } = this.#fresh.placed;
    if (slot !== NO_SLOT) {
      connections.answered(slot);
      connections.touch(slot, this.#now);
    }
    this.#traffic.outgoing(destination, packet.length);
    this.#sendAsVirtual(packet, hop, mtu);
    return Verdict.sent;
  }

  #expired(packet: IpPacket): Verdict {
    this.#icmp.timeExceeded(packet, this.#now);
    return Verdict.sent;
  }

  /** From the virtual endpoint of the key. */
  #sendAsVirtual(packet: IpPacket, hop: number, mtu: number): void {
    completeMissingChecksum(packet);
    rewriteSource(packet, this.#key.virtual, this.#key.virtualPort);
    decrementTtl(packet);
    this.#transmitter.send(packet, hop, mtu, this.#most);
  }

  #step(slot: number, direction: Direction, flags: number): void {
    const { connections, settings } = this.#parts;
    const state = connections.state(slot);
    const next = nextTcpState(direction, tcpEvent(flags), state, settings.secure_tcp !== 0);
    if (next === state) connections.touch(slot, this.#now);
    else connections.setState(slot, next, this.#now, this.#isAnswered(slot, direction));
    if (direction === Direction.output && next === TcpState.established) connections.confirm(slot);
  }

  /** Where replies pass the director, one did. Those of a server on this host do not pass it. */
  #isAnswered(slot: number, direction: Direction): boolean {
    const { connections, destinations, egress } = this.#parts;
    if (direction !== Direction.input || (connections.flags(slot) & REPLIED) !== 0) return true;
    const destination = connections.destination(slot);
    const server = destinations.at(destination);
    const hop = egress.serverHop(destination);
    if (server === undefined || hop === NO_HOP) return false;
    return egress.place(hop, server.words, server.family) !== Place.remote;
  }

  #clientHop(slot: number, family: 4 | 6): number {
    const { connections, egress } = this.#parts;
    const known = connections.user(slot, CLIENT_HOP) - 1;
    if (known >= 0 && egress.valid(known)) return known;
    const hop = egress.hopTo(this.#replyKey.client, family);
    connections.setUser(slot, CLIENT_HOP, hop + 1);
    return hop;
  }

  #isStrayReply(packet: IpPacket): boolean {
    const { protocol, family } = packet;
    return this.#parts.destinations.answers(protocol, family, this.#replyKey.virtual, packet.sourcePort);
  }

  #rejectStrayReply(packet: IpPacket): Verdict {
    if (packet.protocol === TCP && (packet.tcpFlags & RST) !== 0) return Verdict.pass;
    if (packet.ttl > 1) decrementTtl(packet);
    this.#icmp.portUnreachable(packet, this.#now);
    return this.#parts.drops.drop(Drop.unknownReply);
  }
}

/** Loose or strict source route: as on any Linux host, not accepted. */
function isSourceRouted({ family, bytes, at, transport }: IpPacket): boolean {
  let option = at + IPV4_HEADER;
  if (family === 6 || transport === option) return false;
  while (option < transport) {
    const type = bytes[option] as number;
    if (type === LOOSE_ROUTE || type === STRICT_ROUTE) return true;
    if (type === END_OF_OPTIONS) return false;
    const length = type === NO_OPERATION ? 1 : (bytes[option + 1] as number);
    if (length === 0) return false;
    option += length;
  }
  return false;
}
