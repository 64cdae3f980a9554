/**
 * The service manager's side of a daemon, sd_notify(3): datagrams of `NAME=VALUE` lines to the socket that NOTIFY_SOCKET names. Node has
 * no unix datagram sockets, so they go through the C library, which is loaded only where there is such a socket.
 */

/** How a daemon tells whoever supervises it. */
export interface ServiceManager {
  /** Sends these assignments together: `READY=1`, `STATUS=3 services`. Never waits, never throws. */
  notify(...assignments: readonly string[]): void;
  /** Milliseconds within which it wants to hear `WATCHDOG=1`; undefined when it does not watch. */
  readonly watchdog: number | undefined;
  close(): void;
}

export interface ManagedProcess {
  /** NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are taken out of it: the programs of checks are not the daemon. */
  readonly env: Record<string, string | undefined>;
  readonly pid: number;
  readonly problem: (message: string) => void;
}

// linux/socket.h, bits/socket.h, asm/errno.h
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const longestPath = 107;

/** @returns undefined when nobody supervises this process, or it cannot be told; that is then said */
export async function serviceManager({
  env,
  pid,
  problem,
}: ManagedProcess): Promise<ServiceManager | undefined> {
  const { NOTIFY_SOCKET: path = '', WATCHDOG_USEC: micros, WATCHDOG_PID: watched } = env;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) Reflect.deleteProperty(env, name);
  if (path === '') return undefined;
  const address = socketAddress(path);
  if (address === undefined) {
    problem(`NOTIFY_SOCKET=${path} is no unix socket: the service manager hears nothing`);
    return undefined;
  }
  const { close, errno, sendto, socket } = await import('./libc.ts');
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    problem(`no socket for the service manager: errno ${errno()}`);
    return undefined;
  }
  let complained = false;
  return {
    notify(...assignments) {
      const message = Buffer.from(assignments.join('\n'));
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      if (sendto(fd, message, message.length, flags, address, address.length) >= 0 || complained) return;
      complained = true;
      problem(`the service manager on ${path} cannot be told: errno ${errno()}`);
    },
    watchdog: watchdogTime(micros, watched, pid),
    close: () => void close(fd),
  };
}

/** A path, or `@` and an abstract name. Undefined for vsock and what is too long. */
function socketAddress(path: string): Uint8Array | undefined {
  if (!/^[/@]./s.test(path) || Buffer.byteLength(path) > longestPath) return undefined;
  const family = new Uint8Array(Uint16Array.of(AF_UNIX).buffer);
  // The name of an abstract socket begins with a zero byte and ends with the address; a path ends with one.
  const name = path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`;
  return Buffer.concat([family, Buffer.from(name)]);
}

/** sd_watchdog_enabled(3): WATCHDOG_PID, where given, says whom it is meant for. */
function watchdogTime(
  micros: string | undefined,
  watched: string | undefined,
  pid: number,
): number | undefined {
  const time = Number(micros) / 1000;
  const isMeant = watched === undefined || watched === '' || Number(watched) === pid;
  return isMeant && time > 0 && Number.isFinite(time) ? time : undefined;
}
