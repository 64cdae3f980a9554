/**
 * What the kernel knows of links, addresses, routes and neighbours, asked through rtnetlink(7) in the network namespace
 * of this process. Synchronous and never waiting: the kernel answers within the system call that asks.
 */
import type { Address } from '../util/ip.ts';
import type { InterfaceAddress, Link, Message, Neighbour, Route } from './netlink-message.ts';
import {
  MessageType,
  readInterfaceAddress,
  readLink,
  readNeighbour,
  readRoute,
  writeDump,
  writeNeighbourRequest,
  writeRouteRequest,
} from './netlink-message.ts';
import { failure, NetlinkSocket } from './netlink-socket.ts';

export type { InterfaceAddress, Link, Neighbour, Route, RouteKind } from './netlink-message.ts';

const NETLINK_ROUTE = 0;
const ENOENT = 2;
const ENODEV = 19;
const EOPNOTSUPP = 95;
const DUMP_ATTEMPTS = 5;

/** RTNLGRP_* 1 LINK, 5 IPV4_IFADDR, 7 IPV4_ROUTE, 8 IPV4_RULE, 9 IPV6_IFADDR, 11 IPV6_ROUTE, 19 IPV6_RULE, 32 NEXTHOP. */
const CHANGES = [1, 5, 7, 8, 9, 11, 19, 32].reduce((groups, group) => groups | (1 << (group - 1)), 0);

export class Netlink {
  readonly #questions = new NetlinkSocket(NETLINK_ROUTE);
  #events: NetlinkSocket | undefined;

  /** @throws when the kernel refuses, as all methods here do */
  links(): Link[] {
    return this.#dump(MessageType.getLink, MessageType.newLink, readLink);
  }

  /** Every address of this host, of all interfaces and both families. */
  addresses(): InterfaceAddress[] {
    return this.#dump(MessageType.getAddress, MessageType.newAddress, readInterfaceAddress);
  }

  neighbours(): Neighbour[] {
    return this.#dump(MessageType.getNeighbour, MessageType.newNeighbour, readNeighbour);
  }

  /**
   * How this host sends to an address; with `from`, as if from that address of its own.
   * @returns undefined when the kernel's answer is an error: no route, an unreachable one, or `from` not its own
   */
  route(destination: Address, from?: Address): Route | undefined {
    const message = this.#questions.ask((into, sequence) =>
      writeRouteRequest(into, sequence, destination, from),
    );
    return typeof message === 'number' ? undefined : readRoute(this.#questions.view, message, from);
  }

  /** What the kernel knows of one neighbour; undefined when nothing. */
  neighbour(interfaceIndex: number, address: Address): Neighbour | undefined {
    const message = this.#questions.ask((into, sequence) =>
      writeNeighbourRequest(into, sequence, interfaceIndex, address),
    );
    if (typeof message !== 'number') return readNeighbour(this.#questions.view, message);
    if (message === ENOENT || message === ENODEV) return undefined;
    // kernels before 5.0 can only tell them all
    if (message !== EOPNOTSUPP) throw failure('asking for a neighbour', message);
    return this.neighbours().find(
      (neighbour) => neighbour.interfaceIndex === interfaceIndex && neighbour.address === address,
    );
  }

  /** From now on {@link changed} tells of changes of links, addresses, routes and rules. */
  subscribe(): void {
    this.#events ??= new NetlinkSocket(NETLINK_ROUTE, CHANGES);
  }

  /** Whether anything changed since the last call. */
  changed(): boolean {
    return this.#events?.drain() ?? false;
  }

  close(): void {
    this.#questions.close();
    this.#events?.close();
    this.#events = undefined;
  }

  #dump<T>(type: number, answers: number, read: (view: DataView, message: Message) => T | undefined): T[] {
    for (let attempt = 1; ; attempt++) {
      const found: T[] = [];
      const interrupted = this.#questions.dump(
        (into, sequence) => writeDump(into, type, sequence),
        (message) => {
          const item = message.type === answers ? read(this.#questions.view, message) : undefined;
          if (item !== undefined) found.push(item);
        },
      );
      // an incomplete list is better than none where changes never end
      if (!interrupted || attempt === DUMP_ATTEMPTS) return found;
    }
  }
}
