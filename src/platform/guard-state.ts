/** What the kernel's own stack must leave alone, because the packet engine handles it. */
import type { Address } from '../util/ip.ts';

export interface GuardedEndpoint {
  readonly family: 4 | 6;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly address: Address;
  /** 0 is every port. */
  readonly port: number;
}

/** What the director's table wants. */
export interface GuardClaims {
  /** Packets to these are dropped. */
  readonly services: readonly GuardedEndpoint[];
  /**
   * NAT real servers: packets from these to a unicast address that is not this host's are dropped, and so are the
   * later fragments and the ICMP errors of these addresses.
   */
  readonly replies: readonly GuardedEndpoint[];
  /** Packets that the kernel would deliver to this host are dropped when they carry one of these marks. */
  readonly marks: readonly { readonly family: 4 | 6; readonly mark: number }[];
}

/** A new interface of an old name has another index. */
export interface GuardedInterface {
  readonly index: number;
  readonly name: string;
  readonly loopback?: boolean;
}

export interface GuardState extends GuardClaims {
  /** Those that are captured on: elsewhere nothing is dropped but by its mark. */
  readonly interfaces: readonly GuardedInterface[];
  /** This host's own addresses. */
  readonly own: readonly Address[];
}

/** What becomes different. Each endpoint and mark is named at most once; who calls has counted. */
export interface GuardChange {
  readonly added: GuardClaims;
  readonly removed: GuardClaims;
  /** Undefined: as they were. */
  readonly interfaces?: readonly GuardedInterface[];
  readonly own?: readonly Address[];
}

export const nothing: GuardState = { services: [], replies: [], marks: [], interfaces: [], own: [] };

/** Firewall mark (SO_MARK) of what the engine itself gives to this host's stack: "DIRD". The guard lets it pass. */
export const guardedMark = 0x44495244;

/** A state that goes by changes. */
export class ChangingGuardState {
  readonly #services = new Map<string, GuardedEndpoint>();
  readonly #replies = new Map<string, GuardedEndpoint>();
  readonly #marks = new Map<string, GuardClaims['marks'][number]>();
  #interfaces: readonly GuardedInterface[] = [];
  #own: readonly Address[] = [];

  /** What was never added is not there to be removed: that makes no difference. */
  change({ added, removed, interfaces, own }: GuardChange): void {
    for (const one of removed.services) this.#services.delete(endpointKey(one));
    for (const one of removed.replies) this.#replies.delete(endpointKey(one));
    for (const one of removed.marks) this.#marks.delete(`${one.family} ${one.mark}`);
    for (const one of added.services) this.#services.set(endpointKey(one), one);
    for (const one of added.replies) this.#replies.set(endpointKey(one), one);
    for (const one of added.marks) this.#marks.set(`${one.family} ${one.mark}`, one);
    if (interfaces !== undefined) this.#interfaces = interfaces;
    if (own !== undefined) this.#own = own;
  }

  /** As it is now. */
  get now(): GuardState {
    return {
      services: [...this.#services.values()],
      replies: [...this.#replies.values()],
      marks: [...this.#marks.values()],
      interfaces: this.#interfaces,
      own: this.#own,
    };
  }
}

function endpointKey({ protocol, address, port }: GuardedEndpoint): string {
  return `${protocol} ${address} ${port}`;
}
