/** What ipvsadm 1.31 on Linux 6.1 answered, command by command, and what directoradm answers. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import type { Result } from './directoradm-harness.ts';
import { Lab } from './directoradm-harness.ts';

interface Script {
  readonly name: string;
  readonly results: readonly (Result & { readonly cmd: string })[];
}

// The second file holds questions of our own, asked of the same kernel and program; the third a selection of generated ones.
const scripts = ['ipvsadm.jsonl', 'ipvsadm-more.jsonl', 'ipvsadm-fuzzed.jsonl']
  .flatMap((file) => readFileSync(new URL(`../golden/${file}`, import.meta.url), 'utf8').split('\n'))
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Script);

/** Records that are not repeated, and why. */
function exceptionTo(script: string, index: number, command: string): string | undefined {
  if (command.endsWith('-b ","')) return 'ipvsadm crashes; this is an error here';
  if (script === '28-nolo' && (index === 1 || index === 5)) {
    return 'the kernel takes no IPv4 destination while lo is down; directord does not look at lo';
  }
  if (command === "printf -- '-n\\n' | ipvsadm-restore") {
    return 'the script hands its input to echo, which takes this for an option';
  }
  return undefined;
}

/** The services of a text of /proc/net/ip_vs, each with its destinations. */
const blocksOf = (text: string): readonly string[] => text.split(/(?<=\n)(?=TCP|UDP|SCTP|FWM)/);

for (const script of scripts) {
  void t.test(script.name, async (t) => {
    const lab = new Lab();
    for (const [index, { cmd, rc, stdout, stderr }] of script.results.entries()) {
      const got = await lab.shell(cmd.replace(/^cat \/proc\/net\//, 'ipvsadm --proc '));
      if (exceptionTo(script.name, index, cmd) !== undefined) continue;
      if (script.name === '06-ipv6' && cmd.startsWith('cat /proc/')) {
        // That kernel's hash table was shuffled, as they are; the others were as ours is.
        t.same([...blocksOf(got.stdout)].sort(), [...blocksOf(stdout)].sort(), cmd);
      } else t.same(got, { rc, stdout, stderr }, cmd);
    }
  });
}
