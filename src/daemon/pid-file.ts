/**
 * The pid file: how one invocation of the command finds the daemon that another one started. A daemon counts as running
 * when its process exists and its command line mentions `directord`, so a number that was reused counts as stale.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

export type RunState =
  | { readonly state: 'running'; readonly pid: number }
  | { readonly state: 'stopped' }
  /** The file is there, its process is not. */
  | { readonly state: 'stale' };

export class PidFile {
  readonly path: string;
  readonly #commandLineOf: (pid: number) => string | undefined;

  constructor(path: string, commandLineOf: (pid: number) => string | undefined = systemCommandLine) {
    this.path = path;
    this.#commandLineOf = commandLineOf;
  }

  read(): RunState {
    const text = readIfThere(this.path);
    if (text === undefined) return { state: 'stopped' };
    const pid = Number(/^\s*(\d+)\s*$/.exec(text)?.[1]);
    // In a container every daemon may get the same pid: a file with our own is from a life before this one.
    const isOurs = pid > 0 && pid !== process.pid && (this.#commandLineOf(pid) ?? '').includes('directord');
    return isOurs ? { state: 'running', pid } : { state: 'stale' };
  }

  /** @throws when the file cannot be written */
  write(pid: number): void {
    writeFileSync(this.path, `${pid}\n`, { mode: 0o644 });
  }

  /** Removes the file if it is still about this process: a successor may have written its own. */
  remove(pid: number): void {
    if (readIfThere(this.path)?.trim() === String(pid)) rmSync(this.path, { force: true });
  }
}

function systemCommandLine(pid: number): string | undefined {
  return readIfThere(`/proc/${pid}/cmdline`);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ESRCH: the process ended between opening and reading its entry in /proc.
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}
