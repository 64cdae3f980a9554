/** Processes that this one is not the parent of, by pid. */
import { readFileSync } from 'node:fs';

/** False for a zombie too: init of a container may never reap it. */
export function isAlive(pid: number): boolean {
  return /\) [^ZX] /.test(textOf(`/proc/${pid}/stat`));
}

/** Text of a file, or of one below /proc; empty when it is not there, or no longer. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return '';
    throw error;
  }
}

/** A process that is gone already is what was wanted. */
export function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

/** Pids of the direct children of a process; none when it is gone. */
export function childrenOf(pid: number): readonly number[] {
  return textOf(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
}

/** A process and all its descendants. */
export function familyOf(pid: number): readonly number[] {
  return [pid, ...childrenOf(pid).flatMap(familyOf)];
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
