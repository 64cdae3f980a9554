/** directoradm as a process: its name, its streams, the control socket, and names from the system when they are needed. */
import { basename } from 'node:path';
import { ControlClient } from '../control/client.ts';
import { clientSocketPath } from '../control/socket-path.ts';
import type { DirectoradmContext } from './directoradm.ts';
import { directoradm } from './directoradm.ts';

/** @param argv as `process.argv` @returns the exit status */
export async function main(argv: readonly string[]): Promise<number> {
  const [, script = '', ...words] = argv;
  const name = basename(script).replace(/\.[jt]s$/, '');
  const context = processContext(name.startsWith('ipvsadm') ? 'ipvsadm' : 'directoradm');
  if (name.endsWith('-save') || name.endsWith('-restore')) {
    const scripts = await import('./directoradm-scripts.ts');
    return name.endsWith('-save') ? scripts.saveScript(words, context) : scripts.restoreScript(context);
  }
  return directoradm(words, context);
}

function processContext(program: string): DirectoradmContext {
  return {
    program,
    version: async () => (await import('./directord-help.ts')).directordVersion(),
    connect: (control) => ControlClient.connect(clientSocketPath(control)),
    names: async () => (await import('../platform/system-names.ts')).systemNames(),
    out(text) {
      process.stdout.write(text);
    },
    err(text) {
      process.stderr.write(text);
    },
    input() {
      process.stdin.setEncoding('utf8');
      return process.stdin as AsyncIterable<string>;
    },
  };
}
