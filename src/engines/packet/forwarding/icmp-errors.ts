/** The ICMP errors that the director makes itself, in both families, within the limits of Linux. Hot path under a flood. */
import type { IpPacket } from '../../../wire/ip-packet.ts';
import { IcmpType, isIcmpError, UnreachableCode, writeIcmpError } from '../../../wire/icmp.ts';
import { Icmpv6Type, isIcmpv6Error, Unreachable6Code, writeIcmpv6Error } from '../../../wire/icmpv6.ts';
import type { Egress } from './egress.ts';
import { NO_HOP } from './egress.ts';
import { IcmpLimiter } from './icmp-limiter.ts';

/** Room for an Ethernet header before the packet, and for the largest error. */
const HEADROOM = 64;
const LARGEST = 1280;

export class IcmpErrors {
  readonly #egress: Egress;
  readonly #limiter = new IcmpLimiter();
  readonly #buffer = new Uint8Array(HEADROOM + LARGEST);
  readonly #to = new Int32Array(4);
  readonly #from = new Int32Array(4);
  #identification: number;

  constructor(egress: Egress, seed: number) {
    this.#egress = egress;
    this.#identification = seed & 0xffff;
  }

  /** Nobody serves there: what a client hears when there is no destination. */
  portUnreachable(about: IpPacket, now: number): void {
    if (about.family === 4) this.#limited4(about, IcmpType.unreachable, UnreachableCode.port, now);
    else this.#limited6(about, Icmpv6Type.unreachable, Unreachable6Code.port, now);
  }

  hostUnreachable(about: IpPacket, now: number): void {
    if (about.family === 4) this.#limited4(about, IcmpType.unreachable, UnreachableCode.host, now);
    else this.#limited6(about, Icmpv6Type.unreachable, Unreachable6Code.address, now);
  }

  /** @returns bytes sent, 0 when none might be */
  timeExceeded(about: IpPacket, now: number): number {
    return about.family === 4
      ? this.#limited4(about, IcmpType.timeExceeded, 0, now)
      : this.#limited6(about, Icmpv6Type.timeExceeded, 0, now);
  }

  /** Fragmentation needed, or packet too big: never limited, or paths would break. */
  tooBig(about: IpPacket, mtu: number): number {
    return about.family === 4
      ? this.#send(about, IcmpType.unreachable, UnreachableCode.fragmentationNeeded, mtu)
      : this.#send(about, Icmpv6Type.packetTooBig, 0, mtu);
  }

  /** An error of somebody else, said again about another packet. */
  relay(about: IpPacket, type: number, code: number, rest: number): void {
    this.#send(about, type, code, rest);
  }

  #limited4(about: IpPacket, type: number, code: number, now: number): number {
    return this.#limiter.allows(about.sourceWord(0), now) ? this.#send(about, type, code, 0) : 0;
  }

  #limited6(about: IpPacket, type: number, code: number, now: number): number {
    const digest = about.sourceWord(0) ^ about.sourceWord(1) ^ about.sourceWord(2) ^ about.sourceWord(3);
    return this.#limiter.allows(digest, now) ? this.#send(about, type, code, 0) : 0;
  }

  /** From the address that the packet was sent to, if that is this host's; else from this host's towards the sender. */
  #send(about: IpPacket, type: number, code: number, rest: number): number {
    if (isError(about) || about.fragmentOffset > 0) return 0;
    about.copySource(this.#to);
    const hop = this.#egress.hopTo(this.#to, about.family);
    if (hop === NO_HOP) return 0;
    about.copyDestination(this.#from);
    const source = this.#egress.isOwn(this.#from, about.family) ? this.#from : this.#egress.source(hop);
    const write = about.family === 4 ? writeIcmpError : writeIcmpv6Error;
    this.#identification = (this.#identification + 1) & 0xffff;
    const length = write(this.#buffer, HEADROOM, about, source, type, code, rest, this.#identification);
    this.#egress.send(hop, this.#buffer, HEADROOM, length);
    return length;
  }
}

/** Nobody is told of errors about errors, nor of later fragments (RFC 1122, section 3.2.2; RFC 4443, section 2.4). */
function isError(packet: IpPacket): boolean {
  const type = packet.icmpType;
  if (type < 0) return false;
  return packet.family === 4 ? isIcmpError(type) : isIcmpv6Error(type);
}
