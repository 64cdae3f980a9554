/**
 * cap aborts the whole process (an assertion) when libuv reports an error on its socket, and that is what the kernel signals
 * when somebody takes the interface down. Here libuv gets to watch an epoll set that contains the socket: of an error in it
 * libuv sees "readable", cap asks libpcap, and libpcap takes note of the error and goes on.
 */
import koffi from 'koffi';
import * as libc from './libc.ts';

const program = koffi.load(null);
const defaultLoop = program.func('void *uv_default_loop()') as () => unknown;
const backendFd = program.func('int uv_backend_fd(void *)') as (loop: unknown) => number;
const c = koffi.load('libc.so.6');
const dup = c.func('int dup(int)') as (fd: number) => number;
const dup3 = c.func('int dup3(int, int, int)') as (from: number, to: number, flags: number) => number;

export interface Shield {
  /** After cap has closed the socket. */
  close(): void;
}

/** @param fd a socket that libuv watches for reading, or is about to */
export function shieldFromErrors(fd: number): Shield {
  const loop = backendFd(defaultLoop());
  let set: number | undefined;
  let closed = false;
  const attempt = (): void => {
    if (closed) return;
    // libuv tells the kernel about new descriptors just before it waits next, at the latest in the turn after this one.
    if (libc.epollCtl(loop, libc.EPOLL_CTL_DEL, fd, event(0, 0)) === 0) set = putBetween(loop, fd);
    else setImmediate(attempt);
  };
  attempt();
  return {
    close: () => {
      closed = true;
      if (set !== undefined) libc.close(set);
    },
  };
}

/** libuv's set knows the descriptor by its number and what it was when it was added: let the number be the set for a moment. */
function putBetween(loop: number, fd: number): number {
  const set = libc.epollCreate(libc.SOCK_CLOEXEC);
  const socket = dup(fd);
  const done =
    set >= 0 &&
    socket >= 0 &&
    libc.epollCtl(set, libc.EPOLL_CTL_ADD, socket, event(libc.EPOLLIN, socket)) === 0 &&
    dup3(set, fd, libc.SOCK_CLOEXEC) === fd &&
    libc.epollCtl(loop, libc.EPOLL_CTL_ADD, fd, event(libc.EPOLLIN, fd)) === 0 &&
    dup3(socket, fd, libc.SOCK_CLOEXEC) === fd;
  const reason = done ? '' : libc.errorText(libc.errno());
  libc.close(socket);
  if (!done) throw new Error(`cannot watch a capture: ${reason}`);
  return set;
}

/** struct epoll_event, packed on x86-64 only. */
function event(events: number, data: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, events, true);
  view.setUint32(process.arch === 'x64' ? 4 : 8, data, true);
  return bytes;
}
