/** Accepts the connections of one TCP virtual service on one thread and schedules each. Hot path. */
import { NO_SLOT } from '../../connections/connection-table.ts';
import { TcpState } from '../../connections/tcp-states.ts';
import * as c from '../../platform/libc.ts';
import type { Watcher } from './event-loop.ts';
import type { ListenerSpec } from './protocol.ts';
import type { Attempts } from './tcp-connection.ts';
import { refuse, TcpConnection } from './tcp-connection.ts';
import type { ThreadContext } from './thread-context.ts';
import { VirtualEnd } from './virtual-end.ts';

/** Connections accepted before others get their turn. */
const MOST_ACCEPTS = 32;
/** Milliseconds without accepting after the host ran short of something. */
const RELIEF_MILLISECONDS = 100;
/** Of descriptors or memory. Other errors concern the one client that is not there any more. */
const shortages: ReadonlySet<number> = new Set([c.EMFILE, c.ENFILE, c.ENOBUFS, c.ENOMEM]);

export class TcpListener implements Watcher {
  readonly #thread: ThreadContext;
  readonly #attempts: Attempts;
  readonly #spec: ListenerSpec;
  readonly #fd: number;
  readonly #end: VirtualEnd;
  #reliefUntil = 0;

  constructor(thread: ThreadContext, attempts: Attempts, spec: ListenerSpec, fd: number) {
    this.#thread = thread;
    this.#attempts = attempts;
    this.#spec = spec;
    this.#fd = fd;
    this.#end = new VirtualEnd(spec, c.IPPROTO_TCP);
    thread.loop.watch(fd, this, 'level');
  }

  ready(): void {
    for (let count = 0; count < MOST_ACCEPTS; count++) {
      const { peer } = this.#thread;
      peer.reset();
      const client = c.accept4(this.#fd, peer.bytes, peer.length, c.SOCK_NONBLOCK | c.SOCK_CLOEXEC);
      if (client < 0) {
        const error = c.errno();
        if (shortages.has(error)) this.#lookAway(error);
        return;
      }
      this.#admit(client);
    }
  }

  /** Called about once a second: accepts again after a shortage. */
  tick(): void {
    if (this.#reliefUntil === 0 || this.#thread.loop.now < this.#reliefUntil) return;
    this.#reliefUntil = 0;
    this.#thread.loop.watch(this.#fd, this, 'level');
  }

  close(): void {
    this.#thread.loop.close(this.#fd);
  }

  #admit(client: number): void {
    const { key, peer, table, loop } = this.#thread;
    this.#end.name(key, peer);
    // The client uses its port again while the old entry is still in TIME_WAIT or CLOSE: scheduled anew, as IPVS does.
    const old = table.find(key);
    if (old !== NO_SLOT) {
      this.#thread.owners[old]?.abort();
      table.remove(old);
    }
    const slot = this.#thread.schedule(this.#spec, TcpState.synRecv);
    if (slot === NO_SLOT) refuse(loop, client);
    else new TcpConnection(this.#thread, this.#attempts, this.#spec, client, slot);
  }

  /** The backlog would wake us for ever: look away for a moment, and say so. */
  #lookAway(error: number): void {
    this.#thread.tell({ type: 'problem', message: `clients have to wait: ${c.errorText(error)}` });
    this.#thread.loop.unwatch(this.#fd);
    this.#reliefUntil = this.#thread.loop.now + RELIEF_MILLISECONDS;
  }
}
