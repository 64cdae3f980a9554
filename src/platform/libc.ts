/**
 * The system calls of the relay, straight from the C library. Node's own sockets cost three quarters of a short
 * connection in objects and events (measured, see native-notes/relay-sockets.md); these cost a quarter of a microsecond.
 * Everything is non-blocking and synchronous. A negative result means failure: ask {@link errno} at once.
 */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');

type Bytes = Uint8Array;

export const socket = libc.func('int socket(int, int, int)') as (
  family: number,
  type: number,
  protocol: number,
) => number;
export const bind = libc.func('int bind(int, void *, uint32_t)') as (
  fd: number,
  address: Bytes,
  length: number,
) => number;
export const listen = libc.func('int listen(int, int)') as (fd: number, backlog: number) => number;
export const accept4 = libc.func('int accept4(int, void *, void *, int)') as (
  fd: number,
  address: Bytes,
  length: Bytes,
  flags: number,
) => number;
export const connect = libc.func('int connect(int, void *, uint32_t)') as (
  fd: number,
  address: Bytes,
  length: number,
) => number;
export const recv = libc.func('int64_t recv(int, void *, uint64_t, int)') as (
  fd: number,
  buffer: Bytes,
  length: number,
  flags: number,
) => number;
export const send = libc.func('int64_t send(int, void *, uint64_t, int)') as (
  fd: number,
  buffer: Bytes,
  length: number,
  flags: number,
) => number;
export const recvfrom = libc.func('int64_t recvfrom(int, void *, uint64_t, int, void *, void *)') as (
  fd: number,
  buffer: Bytes,
  length: number,
  flags: number,
  address: Bytes,
  addressLength: Bytes,
) => number;
export const sendto = libc.func('int64_t sendto(int, void *, uint64_t, int, void *, uint32_t)') as (
  fd: number,
  buffer: Bytes,
  length: number,
  flags: number,
  address: Bytes,
  addressLength: number,
) => number;
export const shutdown = libc.func('int shutdown(int, int)') as (fd: number, how: number) => number;
export const close = libc.func('int close(int)') as (fd: number) => number;
export const setsockopt = libc.func('int setsockopt(int, int, int, void *, uint32_t)') as (
  fd: number,
  level: number,
  option: number,
  value: Bytes,
  length: number,
) => number;
export const getsockopt = libc.func('int getsockopt(int, int, int, void *, void *)') as (
  fd: number,
  level: number,
  option: number,
  value: Bytes,
  length: Bytes,
) => number;
export const pipe2 = libc.func('int pipe2(void *, int)') as (fds: Bytes, flags: number) => number;
export const fcntl = libc.func('int fcntl(int, int, int)') as (
  fd: number,
  command: number,
  value: number,
) => number;
export const splice = libc.func('int64_t splice(int, void *, int, void *, uint64_t, unsigned int)') as (
  from: number,
  fromOffset: null,
  to: number,
  toOffset: null,
  length: number,
  flags: number,
) => number;
export const epollCreate = libc.func('int epoll_create1(int)') as (flags: number) => number;
export const epollCtl = libc.func('int epoll_ctl(int, int, int, void *)') as (
  epoll: number,
  operation: number,
  fd: number,
  event: Bytes,
) => number;
export const epollWait = libc.func('int epoll_wait(int, void *, int, int)') as (
  epoll: number,
  events: Bytes,
  most: number,
  milliseconds: number,
) => number;
export const eventfd = libc.func('int eventfd(unsigned int, int)') as (
  value: number,
  flags: number,
) => number;
export const read = libc.func('int64_t read(int, void *, uint64_t)') as (
  fd: number,
  buffer: Bytes,
  length: number,
) => number;
export const write = libc.func('int64_t write(int, void *, uint64_t)') as (
  fd: number,
  buffer: Bytes,
  length: number,
) => number;
const unshare = libc.func('int unshare(int)') as (flags: number) => number;
const prlimit = libc.func('int prlimit(int, int, void *, void *)') as (
  pid: number,
  resource: number,
  wanted: Bytes | null,
  present: Bytes | null,
) => number;
const strerror = libc.func('const char *strerror(int)') as (error: number) => string;

/** Error number of the call that has just failed on this thread. */
export function errno(): number {
  return koffi.errno();
}

/** The C library's words for an error number: `Connection refused`. */
export function errorText(error: number): string {
  return strerror(error);
}

/** Linux numbers, the same on x86-64 and arm64. */
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const IPPROTO_IP = 0;
export const IPPROTO_TCP = 6;
export const IPPROTO_IPV6 = 41;
export const IP_FREEBIND = 15;
export const IPV6_V6ONLY = 26;
export const IPV6_FREEBIND = 78;
export const TCP_NODELAY = 1;
export const MSG_NOSIGNAL = 0x4000;
export const SHUT_WR = 1;
export const SPLICE_F_MOVE = 1;
export const SPLICE_F_NONBLOCK = 2;
export const F_SETPIPE_SZ = 1031;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLLIN = 1;
export const EPOLLPRI = 2;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
export const EPOLLET = 1 << 31;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const ENFILE = 23;
export const EMFILE = 24;
export const ENOBUFS = 105;
export const ECONNREFUSED = 111;
export const EINPROGRESS = 115;

const RLIMIT_NOFILE = 7;
const CLONE_FILES = 0x400;

/**
 * Gives the calling thread a descriptor table of its own (a copy): system calls need not count references to a table that
 * nobody else uses, and the limit of open files holds for each thread by itself.
 * @returns false when the kernel refuses; the thread goes on sharing the process's table
 */
export function ownDescriptors(): boolean {
  return unshare(CLONE_FILES) === 0;
}

/**
 * Raises the limit of open files of this process as far as it may go.
 * @returns the limit that holds now
 */
export function raiseOpenFiles(wanted: number): number {
  const limit = new BigUint64Array(2);
  const bytes = new Uint8Array(limit.buffer);
  prlimit(0, RLIMIT_NOFILE, null, bytes);
  const hard = limit[1] ?? 0n;
  for (const ceiling of [BigInt(wanted), hard]) {
    if (ceiling < (limit[0] ?? 0n)) continue;
    limit[0] = ceiling;
    limit[1] = ceiling > hard ? ceiling : hard;
    if (prlimit(0, RLIMIT_NOFILE, bytes, null) === 0) break;
  }
  prlimit(0, RLIMIT_NOFILE, null, bytes);
  return Number(limit[0]);
}
