/**
 * What the kernel knows of links, addresses, routes and neighbours, asked through rtnetlink(7) in the network namespace
 * of this process. Synchronous and never waiting: the kernel answers within the system call that asks.
 */
import * as libc from './libc.ts';
import type { Address } from '../util/ip.ts';
import type { InterfaceAddress, Link, Message, Neighbour, Route } from './netlink-message.ts';
import {
  errorOf,
  FLAG_DUMP_INTERRUPTED,
  messages,
  MessageType,
  readInterfaceAddress,
  readLink,
  readNeighbour,
  readRoute,
  viewOf,
  writeDump,
  writeNeighbourRequest,
  writeRouteRequest,
} from './netlink-message.ts';

export type { InterfaceAddress, Link, Neighbour, Route, RouteKind } from './netlink-message.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
const ENOENT = 2;
const ENODEV = 19;
const EOPNOTSUPP = 95;
/** The kernel fills at most 32 KiB of a dump into one answer. */
const BUFFER_BYTES = 65536;
const DUMP_ATTEMPTS = 5;

/** RTNLGRP_* 1 LINK, 5 IPV4_IFADDR, 7 IPV4_ROUTE, 8 IPV4_RULE, 9 IPV6_IFADDR, 11 IPV6_ROUTE, 19 IPV6_RULE, 32 NEXTHOP. */
const CHANGES = [1, 5, 7, 8, 9, 11, 19, 32].reduce((groups, group) => groups | (1 << (group - 1)), 0);

export class Netlink {
  readonly #questions = openSocket(0);
  #events = -1;
  readonly #request = new Uint8Array(256);
  readonly #answer = new Uint8Array(BUFFER_BYTES);
  readonly #view = viewOf(this.#answer);
  #sequence = 0;

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
    const length = writeRouteRequest(this.#request, this.#next(), destination, from);
    const message = this.#ask(length);
    return typeof message === 'number' ? undefined : readRoute(this.#view, message, from);
  }

  /** What the kernel knows of one neighbour; undefined when nothing. */
  neighbour(interfaceIndex: number, address: Address): Neighbour | undefined {
    const length = writeNeighbourRequest(this.#request, this.#next(), interfaceIndex, address);
    const message = this.#ask(length);
    if (typeof message !== 'number') return readNeighbour(this.#view, message);
    if (message === ENOENT || message === ENODEV) return undefined;
    // kernels before 5.0 can only tell them all
    if (message !== EOPNOTSUPP) throw failure('asking for a neighbour', message);
    return this.neighbours().find(
      (neighbour) => neighbour.interfaceIndex === interfaceIndex && neighbour.address === address,
    );
  }

  /** From now on {@link changed} tells of changes of links, addresses, routes and rules. */
  subscribe(): void {
    if (this.#events < 0) this.#events = openSocket(CHANGES);
  }

  /** Whether anything changed since the last call. */
  changed(): boolean {
    if (this.#events < 0) return false;
    let changed = false;
    for (;;) {
      const got = libc.recv(this.#events, this.#answer, BUFFER_BYTES, MSG_DONTWAIT);
      if (got >= 0) {
        changed = true;
        continue;
      }
      const error = libc.errno();
      if (error === libc.EAGAIN) return changed;
      // ENOBUFS: there were more changes than the socket holds, and some were lost
      if (error !== libc.ENOBUFS) throw failure('reading changes', error);
      changed = true;
    }
  }

  close(): void {
    libc.close(this.#questions);
    if (this.#events >= 0) libc.close(this.#events);
    this.#events = -1;
  }

  #next(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }

  #send(length: number): void {
    if (libc.send(this.#questions, this.#request, length, 0) < 0) throw failure('asking', libc.errno());
  }

  /** @returns the length of the next part of an answer */
  #receive(): number {
    const got = libc.recv(this.#questions, this.#answer, BUFFER_BYTES, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0) throw failure('reading an answer', libc.errno());
    if (got > BUFFER_BYTES) throw new Error(`netlink: an answer of ${got} bytes is longer than expected`);
    return got;
  }

  /** Sends the request and finds its one answer. @returns a message, or an error number */
  #ask(length: number): Message | number {
    this.#send(length);
    for (;;) {
      for (const message of messages(this.#view, this.#receive())) {
        // what an earlier question left behind when it failed midway
        if (message.sequence !== this.#sequence) continue;
        return message.type === MessageType.error ? errorOf(this.#view, message) : message;
      }
    }
  }

  #dump<T>(type: number, answers: number, read: (view: DataView, message: Message) => T | undefined): T[] {
    for (let attempt = 1; ; attempt++) {
      const found: T[] = [];
      this.#send(writeDump(this.#request, type, this.#next()));
      const interrupted = this.#readDump(answers, (message) => {
        const item = read(this.#view, message);
        if (item !== undefined) found.push(item);
      });
      // an incomplete list is better than none where changes never end
      if (!interrupted || attempt === DUMP_ATTEMPTS) return found;
    }
  }

  /** @returns whether the list changed while it was read */
  #readDump(answers: number, each: (message: Message) => void): boolean {
    let interrupted = false;
    for (;;) {
      for (const message of messages(this.#view, this.#receive())) {
        if (message.sequence !== this.#sequence) continue;
        if ((message.flags & FLAG_DUMP_INTERRUPTED) !== 0) interrupted = true;
        if (message.type === MessageType.done) return interrupted;
        if (message.type === MessageType.error) throw failure('listing', errorOf(this.#view, message));
        if (message.type === answers) each(message);
      }
    }
  }
}

/** @param groups bit mask of the multicast groups to hear */
function openSocket(groups: number): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | libc.SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) throw failure('opening a socket', libc.errno());
  // struct sockaddr_nl: family, padding, port (0: any), groups
  const address = new Uint32Array(3);
  new Uint16Array(address.buffer)[0] = AF_NETLINK;
  address[2] = groups;
  if (libc.bind(fd, new Uint8Array(address.buffer), address.byteLength) < 0) {
    const error = libc.errno();
    libc.close(fd);
    throw failure('listening for changes', error);
  }
  return fd;
}

function failure(doing: string, error: number): Error {
  return new Error(`netlink: ${doing}: ${libc.errorText(error)}`);
}
