/**
 * Keeps out of the operator's sight what native code prints to stderr although it is no problem: libpcap's binding warns
 * about every interface without an IPv4 address.
 */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';

const c = koffi.load('libc.so.6');
const duplicate = c.func('int fcntl(int, int, int)') as (
  fd: number,
  command: number,
  atLeast: number,
) => number;
const dup2 = c.func('int dup2(int, int)') as (from: number, to: number) => number;

const F_DUPFD_CLOEXEC = 1030;
const stderr = 2;

/** Runs synchronous work with the process's stderr on /dev/null. */
export function withQuietStderr<Result>(work: () => Result): Result {
  const saved = duplicate(stderr, F_DUPFD_CLOEXEC, stderr + 1);
  if (saved < 0) return work();
  const nowhere = openSync('/dev/null', 'w');
  dup2(nowhere, stderr);
  try {
    return work();
  } finally {
    dup2(saved, stderr);
    closeSync(nowhere);
    closeSync(saved);
  }
}
