/** How many files a program of the lab may have open, and how to give it that many. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const wished = 65_536;

export interface OpenFiles {
  readonly limit: number;
  /** What to put before a command so that it gets this limit. */
  readonly prefix: readonly string[];
}

/** Raises the limit where the host lets us; some containers do not. */
export function openFiles(): OpenFiles {
  const hard = hardLimit();
  if (hard >= wished) return { limit: hard, prefix: [] };
  const prefix = ['prlimit', `--nofile=${wished}:${wished}`];
  try {
    execFileSync('prlimit', [...prefix.slice(1), 'true'], { stdio: 'ignore' });
    return { limit: wished, prefix };
  } catch {
    return { limit: hard, prefix: [] };
  }
}

function hardLimit(): number {
  const match = /^Max open files +\S+ +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return match?.[1] === 'unlimited' ? wished : Number(match?.[1] ?? 1024);
}
