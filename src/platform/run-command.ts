/**
 * Runs programs of the operator's: external checks without a shell, fallback commands through it. A program gets a
 * process group of its own, so that ending it ends what it started too.
 */
import { spawn } from 'node:child_process';
import { getSystemErrorMap } from 'node:util';
import type { Clock } from '../util/clock.ts';

export interface CommandResult {
  /** Exit status, undefined when there is none (killed, never started). */
  readonly status: number | undefined;
  /** For people: `exit status 1`, `killed by SIGTERM`. */
  readonly detail: string;
  /** Why the program could not be started: `No such file or directory`. */
  readonly startError?: string;
}

/** Between TERM and KILL, in milliseconds. */
const grace = 1000;

/**
 * Runs a program and resolves with how it ended; never rejects. On abort the whole group gets TERM, and KILL a second
 * later; the result does not wait for a process that not even KILL ends.
 */
export function commandRunner(
  clock: Clock,
): (file: string, args: readonly string[], signal: AbortSignal) => Promise<CommandResult> {
  return (file, args, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) {
        resolve({ status: undefined, detail: 'not started' });
        return;
      }
      const child = start(file, args, resolve);
      if (child?.pid === undefined) return;
      const group = -child.pid;
      const end = (): void => {
        kill(group, 'SIGTERM');
        const last = clock.after(grace, () => {
          kill(group, 'SIGKILL');
          resolve({ status: undefined, detail: 'killed by SIGKILL' });
        });
        // The first process may obey while its children do not.
        child.once('exit', () => {
          last.cancel();
          kill(group, 'SIGKILL');
        });
      };
      signal.addEventListener('abort', end, { once: true });
      child.once('exit', () => {
        signal.removeEventListener('abort', end);
      });
    });
}

/** Runs a command line through `/bin/sh`, without a limit of time; never rejects. */
export function runShell(command: string): Promise<CommandResult> {
  return new Promise((resolve) => {
    start('/bin/sh', ['-c', command], resolve);
  });
}

function start(
  file: string,
  args: readonly string[],
  ended: (result: CommandResult) => void,
): ReturnType<typeof spawn> | undefined {
  const notStarted = (error: unknown): void => {
    ended({ status: undefined, detail: 'not started', startError: reasonOf(error) });
  };
  try {
    const child = spawn(file, args, { detached: true, stdio: 'ignore' });
    child.once('error', notStarted);
    child.once('exit', (code, killer) => {
      ended({
        status: code ?? undefined,
        detail: code === null ? `killed by ${String(killer)}` : `exit status ${code}`,
      });
    });
    return child;
  } catch (error) {
    notStarted(error);
    return undefined;
  }
}

function kill(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(group, signal);
  } catch (error) {
    // Nobody is left in the group, which is what we want.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const errno = 'errno' in error && typeof error.errno === 'number' ? error.errno : 0;
  const text = getSystemErrorMap().get(errno)?.[1];
  return text === undefined ? error.message : text.charAt(0).toUpperCase() + text.slice(1);
}
