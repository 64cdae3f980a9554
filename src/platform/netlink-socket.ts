/**
 * One conversation with the kernel over netlink(7), in the network namespace of this thread. Synchronous and never waiting: the kernel
 * answers within the system call that asks.
 */
import * as libc from './libc.ts';
import type { Message } from './netlink-message.ts';
import { errorOf, FLAG_DUMP_INTERRUPTED, messages, MessageType, viewOf } from './netlink-message.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
/** The kernel fills at most 32 KiB of a dump into one answer. */
const BUFFER_BYTES = 65536;

/** Writes a request; @returns its length */
export type WriteRequest = (into: Uint8Array, sequence: number) => number;

export class NetlinkSocket {
  readonly #fd: number;
  readonly #request = new Uint8Array(256);
  readonly #answer = new Uint8Array(BUFFER_BYTES);
  /** Where answers are; each lasts until the next question. */
  readonly view = viewOf(this.#answer);
  #sequence = 0;

  /**
   * @param protocol NETLINK_*
   * @param groups bit mask of the multicast groups to hear
   * @throws when the kernel refuses, as all methods here do
   */
  constructor(protocol: number, groups = 0) {
    this.#fd = libc.socket(AF_NETLINK, SOCK_RAW | libc.SOCK_CLOEXEC, protocol);
    if (this.#fd < 0) throw failure('opening a socket', libc.errno());
    // struct sockaddr_nl: family, padding, port (0: any), groups
    const address = new Uint32Array(3);
    new Uint16Array(address.buffer)[0] = AF_NETLINK;
    address[2] = groups;
    if (libc.bind(this.#fd, new Uint8Array(address.buffer), address.byteLength) < 0) {
      const error = libc.errno();
      this.close();
      throw failure('listening for changes', error);
    }
  }

  /** Asks for one thing. @returns the answer, or an error number */
  ask(write: WriteRequest): Message | number {
    this.#send(write);
    for (;;) {
      for (const message of messages(this.view, this.#receive())) {
        // what an earlier question left behind when it failed midway
        if (message.sequence !== this.#sequence) continue;
        return message.type === MessageType.error ? errorOf(this.view, message) : message;
      }
    }
  }

  /** Asks for a list. @returns whether it changed while it was read: it may be incomplete then */
  dump(write: WriteRequest, each: (message: Message) => void): boolean {
    this.#send(write);
    let interrupted = false;
    for (;;) {
      for (const message of messages(this.view, this.#receive())) {
        if (message.sequence !== this.#sequence) continue;
        if ((message.flags & FLAG_DUMP_INTERRUPTED) !== 0) interrupted = true;
        if (message.type === MessageType.done) return interrupted;
        if (message.type === MessageType.error) throw failure('listing', errorOf(this.view, message));
        each(message);
      }
    }
  }

  /** Takes what the groups have told so far. @returns whether that was anything */
  drain(): boolean {
    let any = false;
    for (;;) {
      const got = libc.recv(this.#fd, this.#answer, BUFFER_BYTES, MSG_DONTWAIT);
      if (got >= 0) {
        any = true;
        continue;
      }
      const error = libc.errno();
      if (error === libc.EAGAIN) return any;
      // ENOBUFS: there was more than the socket holds, and some was lost
      if (error !== libc.ENOBUFS) throw failure('reading changes', error);
      any = true;
    }
  }

  close(): void {
    libc.close(this.#fd);
  }

  #send(write: WriteRequest): void {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const length = write(this.#request, this.#sequence);
    if (libc.send(this.#fd, this.#request, length, 0) < 0) throw failure('asking', libc.errno());
  }

  /** @returns the length of the next part of an answer */
  #receive(): number {
    const got = libc.recv(this.#fd, this.#answer, BUFFER_BYTES, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0) throw failure('reading an answer', libc.errno());
    if (got > BUFFER_BYTES) throw new Error(`netlink: an answer of ${got} bytes is longer than expected`);
    return got;
  }
}

export function failure(doing: string, error: number): Error {
  return new Error(`netlink: ${doing}: ${libc.errorText(error)}`);
}
