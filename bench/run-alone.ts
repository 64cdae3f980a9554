/** Runs a measurement in a process of its own, so that its memory is told apart. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** @param name of a program in this folder. @returns what it prints */
export async function runAlone(name: string, ...args: readonly string[]): Promise<string> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const program = fileURLToPath(new URL(`./${name}.${extension}`, import.meta.url));
  return (await promisify(execFile)(process.execPath, [program, ...args])).stdout.trimEnd();
}
