/**
 * The thread's epoll set. It blocks in `epoll_wait` instead of living on Node's own loop: a forwarding thread does
 * nothing but forward, and this is the shortest way from the kernel to the bytes. Hot path.
 */
import * as c from '../../platform/libc.ts';

/** Whoever put work off. */
export interface Resumable {
  resume(): void;
}

/** Whoever owns descriptors in the loop. Registered edge-triggered unless it asks for level. */
export interface Watcher {
  /** `events` is a mask of EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR. */
  ready(fd: number, events: number): void;
}

const MOST_EVENTS = 256;
/** The kernel packs `struct epoll_event` on x86-64 only. */
const EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
const FD_OFFSET = EVENT_BYTES - 8;
const EDGES = c.EPOLLIN | c.EPOLLPRI | c.EPOLLOUT | c.EPOLLRDHUP | c.EPOLLET;

export class EventLoop {
  readonly #epoll = c.epollCreate(c.SOCK_CLOEXEC);
  readonly #watchers: (Watcher | undefined)[] = [];
  readonly #events = new Uint8Array(MOST_EVENTS * EVENT_BYTES);
  readonly #view = new DataView(this.#events.buffer);
  readonly #one = new Uint8Array(EVENT_BYTES);
  readonly #oneView = new DataView(this.#one.buffer);
  /** Work that an edge-triggered owner put off for fairness; runs before the next wait. */
  #again: Resumable[] = [];
  readonly #closing: number[] = [];

  /** Milliseconds, monotonic, read once per wake-up. */
  now = performance.now();

  /** @returns false when the kernel refuses another descriptor */
  watch(fd: number, watcher: Watcher, mode: 'edge' | 'level' = 'edge'): boolean {
    const events = mode === 'edge' ? EDGES : c.EPOLLIN;
    this.#oneView.setInt32(0, events, true);
    this.#oneView.setInt32(FD_OFFSET, fd, true);
    this.#watchers[fd] = watcher;
    return c.epollCtl(this.#epoll, c.EPOLL_CTL_ADD, fd, this.#one) === 0;
  }

  /**
   * Closes a descriptor and forgets its owner. The close itself waits for the end of the turn: were the number given
   * out again at once, an event of this turn that was meant for the old owner would reach the new one.
   */
  close(fd: number): void {
    this.#watchers[fd] = undefined;
    this.#closing.push(fd);
  }

  /** Stays open, is no longer watched. */
  unwatch(fd: number): void {
    this.#watchers[fd] = undefined;
    c.epollCtl(this.#epoll, c.EPOLL_CTL_DEL, fd, this.#one);
  }

  /** Calls back once before the next wait. */
  later(owner: Resumable): void {
    this.#again.push(owner);
  }

  /** Waits for events, at most so long, and hands them out. */
  turn(milliseconds: number): void {
    const count = c.epollWait(
      this.#epoll,
      this.#events,
      MOST_EVENTS,
      this.#again.length > 0 ? 0 : milliseconds,
    );
    this.now = performance.now();
    for (let i = 0; i < count; i++) {
      const fd = this.#view.getInt32(i * EVENT_BYTES + FD_OFFSET, true);
      this.#watchers[fd]?.ready(fd, this.#view.getInt32(i * EVENT_BYTES, true));
    }
    if (this.#again.length > 0) {
      const owners = this.#again;
      this.#again = [];
      for (const owner of owners) owner.resume();
    }
    for (let fd = this.#closing.pop(); fd !== undefined; fd = this.#closing.pop()) c.close(fd);
  }
}
