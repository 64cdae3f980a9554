/** What ipvsadm 1.31 on Linux 6.1 answered, command by command, and what directoradm answers. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import type { Result } from './directoradm-harness.ts';
import { Lab } from './directoradm-harness.ts';

interface Script {
  readonly name: string;
  readonly results: readonly (Result & { readonly cmd: string })[];
}

// The second file holds questions of our own, asked of the same kernel and program.
const scripts = ['ipvsadm.jsonl', 'ipvsadm-more.jsonl']
  .flatMap((file) => readFileSync(new URL(`../golden/${file}`, import.meta.url), 'utf8').split('\n'))
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Script);

/** Records that are not repeated, and why. */
function exceptionTo(script: string, index: number, command: string): string | undefined {
  if (command.endsWith('-b ","')) return 'ipvsadm crashes; this is an error here';
  if (script === '28-nolo' && (index === 1 || index === 5)) {
    return 'the kernel takes no IPv4 destination while lo is down; directord does not look at lo';
  }
  return undefined;
}

for (const script of scripts) {
  void t.test(script.name, async (t) => {
    const lab = new Lab();
    for (const [index, { cmd, rc, stdout, stderr }] of script.results.entries()) {
      if (cmd.startsWith('cat /proc/')) continue; // there is no kernel table
      const got = await lab.shell(cmd);
      if (exceptionTo(script.name, index, cmd) === undefined) t.same(got, { rc, stdout, stderr }, cmd);
    }
  });
}
