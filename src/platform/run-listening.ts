/** Runs a command line of ours through `/bin/sh` and listens to why it fails. There is no limit of time. */
import { spawn } from 'node:child_process';

const longestWords = 300;

export interface Listened {
  /** Exit status, undefined when there is none (killed, never started). */
  readonly status: number | undefined;
  /** For people: `exit status 1: Config file x.cf not found`. */
  readonly detail: string;
}

/** Never rejects. */
export function runListening(line: string): Promise<Listened> {
  return new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', line], { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      if (said.length < longestWords) said += chunk.toString();
    });
    child.once('error', (error) => {
      resolve({ status: undefined, detail: error.message });
    });
    child.once('close', (code, killer) => {
      const how = code === null ? `killed by ${String(killer)}` : `exit status ${code}`;
      const words = said.trim().replace(/\s+/g, ' ').slice(0, longestWords);
      resolve({ status: code ?? undefined, detail: words === '' ? how : `${how}: ${words}` });
    });
  });
}
