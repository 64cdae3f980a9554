/**
 * One UDP virtual service on one thread: a flow per client address and port, each with a socket connected to its real
 * server. Replies leave through the service's own socket, so they come from the virtual address. Hot path.
 */
import { NO_SLOT } from '../../connections/connection-table.ts';
import * as c from '../../platform/libc.ts';
import type { Watcher } from './event-loop.ts';
import type { ListenerSpec } from './protocol.ts';
import { destinationSockaddr } from './socket-address.ts';
import type { Owner, ThreadContext } from './thread-context.ts';
import { VirtualEnd } from './virtual-end.ts';

const IPPROTO_UDP = 17;
/** Datagrams taken before others get their turn. */
const MOST_DATAGRAMS = 64;

export class UdpListener implements Watcher {
  readonly #thread: ThreadContext;
  readonly #spec: ListenerSpec;
  readonly #fd: number;
  readonly #end: VirtualEnd;
  /** Flows that still answer through this socket. */
  readonly #flows = new Set<UdpFlow>();

  constructor(thread: ThreadContext, spec: ListenerSpec, fd: number) {
    this.#thread = thread;
    this.#spec = spec;
    this.#fd = fd;
    this.#end = new VirtualEnd(spec, IPPROTO_UDP);
    thread.loop.watch(fd, this, 'level');
  }

  ready(): void {
    const { peer, scratch } = this.#thread;
    for (let count = 0; count < MOST_DATAGRAMS; count++) {
      peer.reset();
      const got = c.recvfrom(this.#fd, scratch, scratch.length, 0, peer.bytes, peer.length);
      // An ICMP error of an earlier reply is reported here too; the next datagram is none the worse for it.
      if (got < 0 && c.errno() === c.EAGAIN) return;
      if (got >= 0) this.#flow()?.toServer(got);
    }
  }

  tick(): void {
    // Nothing waits here: a flow without a descriptor is refused at once.
  }

  /** Open flows go with the socket; their entries stay until their time is over, for a new listener to go on with. */
  close(): void {
    for (const flow of this.#flows) flow.expire();
    this.#thread.loop.close(this.#fd);
  }

  reply(address: Uint8Array, bytes: number): void {
    c.sendto(this.#fd, this.#thread.scratch, bytes, c.MSG_NOSIGNAL, address, address.length);
  }

  forget(flow: UdpFlow): void {
    this.#flows.delete(flow);
  }

  /** The flow of the datagram that was just read, old or new. */
  #flow(): UdpFlow | undefined {
    const { key, peer, table, owners, pool } = this.#thread;
    this.#end.name(key, peer);
    const known = table.find(key);
    if (known !== NO_SLOT) {
      const owner = owners[known];
      if (owner instanceof UdpFlow) return owner;
      // An earlier socket of this service had the flow. It goes on, if its server is in the table.
      if (pool.available(table.destination(known))) return this.#open(known);
      table.remove(known);
    }
    const slot = this.#thread.schedule(this.#spec, 0);
    return slot === NO_SLOT ? undefined : this.#open(slot);
  }

  #open(slot: number): UdpFlow | undefined {
    const { peer, table } = this.#thread;
    const flow = UdpFlow.open(
      this.#thread,
      this,
      slot,
      peer.bytes.slice(0, this.#end.family === 4 ? 16 : 28),
    );
    if (flow === undefined) table.remove(slot);
    else this.#flows.add(flow);
    return flow;
  }
}

class UdpFlow implements Watcher, Owner {
  readonly #thread: ThreadContext;
  readonly #listener: UdpListener;
  readonly #slot: number;
  readonly #server: number;
  /** The client's sockaddr. */
  readonly #client: Uint8Array;
  #held: boolean;

  private constructor(
    thread: ThreadContext,
    listener: UdpListener,
    slot: number,
    server: number,
    client: Uint8Array,
  ) {
    this.#thread = thread;
    this.#listener = listener;
    this.#slot = slot;
    this.#server = server;
    this.#client = client;
    this.#held = !thread.pool.available(thread.table.destination(slot));
    thread.owners[slot] = this;
    thread.loop.watch(server, this, 'level');
  }

  /** @returns undefined when no socket could be had; the flow is refused and the daemon told */
  static open(
    thread: ThreadContext,
    listener: UdpListener,
    slot: number,
    client: Uint8Array,
  ): UdpFlow | undefined {
    const destination = thread.table.destination(slot);
    const family = thread.pool.family(destination) === 4 ? c.AF_INET : c.AF_INET6;
    const server = c.socket(family, c.SOCK_DGRAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, 0);
    const address = destinationSockaddr(thread.pool, destination);
    if (server >= 0 && c.connect(server, address, address.length) === 0) {
      return new UdpFlow(thread, listener, slot, server, client);
    }
    const error = c.errorText(c.errno());
    if (server >= 0) {
      thread.tell({ type: 'attempt-failed', destination, error });
      c.close(server);
    } else thread.tell({ type: 'problem', message: `a UDP client was refused: ${error}` });
    return undefined;
  }

  /** Sends on the datagram that lies in the scratch buffer. */
  toServer(bytes: number): void {
    // IPVS drops the packets of a flow whose server left the table, and lets its timer run out.
    if (this.#held) return;
    const { scratch } = this.#thread;
    const sent = c.send(this.#server, scratch, bytes, c.MSG_NOSIGNAL);
    // That was about an earlier datagram; the server may be back.
    if (sent < 0 && c.errno() === c.ECONNREFUSED) c.send(this.#server, scratch, bytes, c.MSG_NOSIGNAL);
    this.#thread.countIn(this.#slot, bytes);
    this.#thread.table.touch(this.#slot, this.#thread.loop.now);
  }

  ready(): void {
    const { scratch } = this.#thread;
    for (let count = 0; count < MOST_DATAGRAMS; count++) {
      const got = c.recv(this.#server, scratch, scratch.length, 0);
      if (got < 0) {
        // ECONNREFUSED: the server's port is closed. The client hears nothing, as if the datagram was lost.
        if (c.errno() === c.EAGAIN) return;
        continue;
      }
      this.#listener.reply(this.#client, got);
      this.#thread.countOut(this.#slot, got);
      this.#thread.table.touch(this.#slot, this.#thread.loop.now);
    }
  }

  hold(held: boolean): void {
    this.#held = held;
  }

  expire(): void {
    this.#thread.loop.close(this.#server);
    this.#thread.owners[this.#slot] = undefined;
    this.#listener.forget(this);
  }

  abort(): void {
    this.expire();
  }
}
