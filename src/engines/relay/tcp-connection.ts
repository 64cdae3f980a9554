/**
 * One relayed TCP connection: a client socket that was accepted, a server socket that is connected on, and a stream each
 * way. Its entry in the connection table goes through IPVS's NAT states as the two sides open and close, and lives on
 * there (TIME_WAIT, CLOSE, ...) after the sockets are gone. Hot path.
 */
import { NO_SLOT } from '../../connections/connection-table.ts';
import { Direction, nextTcpState, TcpEvent, TcpState } from '../../connections/tcp-states.ts';
import * as c from '../../platform/libc.ts';
import type { EventLoop, Resumable, Watcher } from './event-loop.ts';
import { proxyHeader } from './proxy-protocol.ts';
import type { ListenerSpec } from './protocol.ts';
import { destinationSockaddr } from './socket-address.ts';
import { Stream } from './stream.ts';
import type { Owner, ThreadContext } from './thread-context.ts';

/** Milliseconds a real server has to answer a connect before the next one is tried. */
const ATTEMPT_MILLISECONDS = 3000;

const one = Uint8Array.of(1, 0, 0, 0);
/** `struct linger` {on, 0 seconds}: close sends RST. */
const reset = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);
const READABLE = c.EPOLLIN | c.EPOLLRDHUP | c.EPOLLHUP | c.EPOLLERR;
const WRITABLE = c.EPOLLOUT | c.EPOLLHUP | c.EPOLLERR;
const HUNG_UP = c.EPOLLRDHUP | c.EPOLLHUP | c.EPOLLERR;
const nobody: readonly number[] = [];

/** Connections whose connect is under way, oldest first, with the time when the attempt is given up. */
export type Attempts = Map<TcpConnection, number>;

export class TcpConnection implements Watcher, Resumable, Owner {
  readonly #thread: ThreadContext;
  readonly #attempts: Attempts;
  readonly #spec: ListenerSpec;
  readonly #client: number;
  #server = -1;
  #slot: number;
  #connected = false;
  /** The client's socket is in the event loop. */
  #watched = false;
  /** Bytes have gone through: from now on the connection is its server's. */
  #used = false;
  #tried = nobody;
  #willResume = false;
  #in: Stream;
  #out: Stream;

  /** The thread's key holds the client's and the virtual address. */
  constructor(thread: ThreadContext, attempts: Attempts, spec: ListenerSpec, client: number, slot: number) {
    this.#thread = thread;
    this.#attempts = attempts;
    this.#spec = spec;
    this.#client = client;
    this.#slot = slot;
    this.#in = new Stream(thread);
    this.#out = new Stream(thread);
    thread.owners[slot] = this;
    this.#attempt();
  }

  ready(fd: number, events: number): void {
    if (!this.#connected) {
      if (fd === this.#server) this.#connectEnded(events);
      else if ((events & HUNG_UP) !== 0) this.#in.hungUp = true;
      return;
    }
    const from = fd === this.#client ? this.#in : this.#out;
    const to = fd === this.#client ? this.#out : this.#in;
    if ((events & READABLE) !== 0) from.readable = true;
    if ((events & HUNG_UP) !== 0) from.hungUp = true;
    if ((events & c.EPOLLPRI) !== 0) from.urgent = true;
    if ((events & WRITABLE) !== 0) to.writable = true;
    // A client that resets after its FIN: no read will tell, since the stream has met its end already.
    if ((events & c.EPOLLERR) !== 0 && from === this.#in && from.ending === 'fin') this.#clientGone();
    else this.#move();
  }

  /** The attempt took too long. */
  giveUp(): void {
    this.#attemptFailed('no answer');
  }

  expire(): void {
    this.#resetBoth();
    this.#letGo();
  }

  /** A connection that has not been used yet goes elsewhere; another one waits for its server to come back. */
  hold(held: boolean): void {
    if (held && !this.#used && this.#moveElsewhere()) return;
    this.#in.held = held;
    if (!held && this.#connected) this.#move();
  }

  /** As if the server had reset it; the entry goes to CLOSE. */
  abort(): void {
    this.#signal(Direction.output, TcpEvent.rst);
    this.expire();
  }

  // ---- opening

  #attempt(): void {
    const { loop, pool, table } = this.#thread;
    const destination = table.destination(this.#slot);
    const address = destinationSockaddr(pool, destination);
    const family = pool.family(destination) === 4 ? c.AF_INET : c.AF_INET6;
    this.#server = c.socket(family, c.SOCK_STREAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, 0);
    if (this.#server < 0) {
      this.#noDescriptors();
      return;
    }
    c.setsockopt(this.#server, c.IPPROTO_TCP, c.TCP_NODELAY, one, 4);
    if (c.connect(this.#server, address, address.length) < 0) {
      const error = c.errno();
      if (error !== c.EINPROGRESS) {
        this.#attemptFailed(c.errorText(error));
        return;
      }
    }
    this.#attempts.set(this, loop.now + ATTEMPT_MILLISECONDS);
    loop.watch(this.#server, this);
  }

  #connectEnded(events: number): void {
    if ((events & (c.EPOLLERR | c.EPOLLHUP)) !== 0) {
      this.#attemptFailed(c.errorText(socketError(this.#server)));
      return;
    }
    if ((events & c.EPOLLOUT) === 0) return;
    this.#attempts.delete(this);
    this.#connected = true;
    this.#tried = nobody;
    this.#signal(Direction.input, TcpEvent.ack);
    this.#in.source = this.#out.sink = this.#client;
    this.#in.sink = this.#out.source = this.#server;
    // It was deleted while we connected, and the order to hold came before this connection was known.
    if (!this.#thread.pool.available(this.#thread.table.destination(this.#slot))) {
      if (this.#moveElsewhere()) return;
      this.#in.held = true;
    }
    if (this.#spec.proxyProtocol !== 'none') {
      this.#thread.table.key(this.#slot, this.#thread.key);
      this.#in.prepend(proxyHeader(this.#spec.proxyProtocol, this.#thread.key));
    }
    // A client that speaks first has mostly done so by now.
    this.#in.readable = true;
    if ((events & READABLE) !== 0) this.#out.readable = true;
    if ((events & HUNG_UP) !== 0) this.#out.hungUp = true;
    if (this.#watched || this.#thread.loop.watch(this.#client, this)) {
      this.#watched = true;
      this.#move();
    } else this.abort();
  }

  /** Nobody has seen a byte of this connection yet, so another destination can have it. */
  #attemptFailed(error: string): void {
    const { table, tell, loop } = this.#thread;
    const destination = table.destination(this.#slot);
    tell({ type: 'attempt-failed', destination, error });
    this.#tried = [...this.#tried, destination];
    this.#dropServer();
    if (this.#thread.reschedule(this.#spec, this.#slot, this.#tried)) {
      this.#attempt();
      return;
    }
    refuse(loop, this.#client);
    this.#forget();
  }

  /** @returns whether there was another destination to go to */
  #moveElsewhere(): boolean {
    const { table, loop } = this.#thread;
    if (!this.#thread.reschedule(this.#spec, this.#slot, this.#tried)) return false;
    table.setState(this.#slot, TcpState.synRecv, loop.now);
    const { hungUp } = this.#in;
    this.#dropServer();
    this.#in = new Stream(this.#thread);
    this.#out = new Stream(this.#thread);
    this.#in.hungUp = hungUp;
    this.#attempt();
    return true;
  }

  #dropServer(): void {
    this.#attempts.delete(this);
    this.#thread.loop.close(this.#server);
    this.#server = -1;
    this.#connected = false;
    this.#in.dispose();
    this.#out.dispose();
  }

  #noDescriptors(): void {
    this.#thread.tell({ type: 'problem', message: `a connection was refused: ${c.errorText(c.errno())}` });
    refuse(this.#thread.loop, this.#client);
    this.#forget();
  }

  // ---- moving bytes

  /** A bulk stream had let others go first. */
  resume(): void {
    this.#willResume = false;
    if (this.#slot !== NO_SLOT) this.#move();
  }

  #move(): void {
    const wasOpenIn = this.#in.ending === 'open';
    const wasOpenOut = this.#out.ending === 'open';
    const bytesIn = this.#in.pump();
    const bytesOut = this.#out.pump();
    if (bytesIn > 0) this.#thread.countIn(this.#slot, bytesIn);
    if (bytesOut > 0) this.#thread.countOut(this.#slot, bytesOut);
    if (bytesIn + bytesOut > 0) {
      this.#used = true;
      this.#thread.table.touch(this.#slot, this.#thread.loop.now);
    }
    if (wasOpenIn && this.#in.ending !== 'open') this.#sideEnded(Direction.input, this.#in);
    if (wasOpenOut && this.#out.ending !== 'open') this.#sideEnded(Direction.output, this.#out);
    if (this.#out.broken) this.#clientGone();
    else if (this.#in.broken && this.#out.finished) this.abort();
    else if (this.#in.ending === 'reset' && this.#in.finished) this.expire();
    else if (this.#out.ending === 'reset' && this.#out.finished) this.expire();
    else if (this.#in.finished && this.#out.finished) this.#close();
    else if (this.#in.unfinished || this.#out.unfinished) this.#resumeLater();
  }

  #resumeLater(): void {
    if (!this.#willResume) this.#thread.loop.later(this);
    this.#willResume = true;
  }

  #clientGone(): void {
    this.#signal(Direction.input, TcpEvent.rst);
    this.expire();
  }

  #sideEnded(direction: 0 | 1, stream: Stream): void {
    this.#signal(direction, stream.ending === 'fin' ? TcpEvent.fin : TcpEvent.rst);
  }

  #signal(direction: 0 | 1, event: 0 | 1 | 2 | 3): void {
    const { table, loop } = this.#thread;
    table.setState(this.#slot, nextTcpState(direction, event, table.state(this.#slot)), loop.now);
  }

  // ---- closing

  /** Both ends said so: the entry stays in the table, the sockets go. */
  #close(): void {
    this.#thread.loop.close(this.#client);
    this.#thread.loop.close(this.#server);
    this.#letGo();
  }

  #resetBoth(): void {
    refuse(this.#thread.loop, this.#client);
    if (this.#server >= 0) refuse(this.#thread.loop, this.#server);
  }

  /** It never came to be: not even its entry stays. */
  #forget(): void {
    const slot = this.#slot;
    this.#letGo();
    this.#thread.table.remove(slot);
  }

  #letGo(): void {
    this.#attempts.delete(this);
    this.#in.dispose();
    this.#out.dispose();
    this.#thread.owners[this.#slot] = undefined;
    this.#slot = NO_SLOT;
  }
}

/** Closes with RST: what a client of IPVS sees when there is no server for it. */
export function refuse(loop: EventLoop, fd: number): void {
  c.setsockopt(fd, c.SOL_SOCKET, c.SO_LINGER, reset, reset.length);
  loop.close(fd);
}

/** Takes the pending error of a socket. */
function socketError(fd: number): number {
  const value = new Uint8Array(4);
  const length = Uint8Array.of(4, 0, 0, 0);
  c.getsockopt(fd, c.SOL_SOCKET, c.SO_ERROR, value, length);
  return new DataView(value.buffer).getInt32(0, true);
}
