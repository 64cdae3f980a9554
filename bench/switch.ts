/** The switch of a laboratory as one is: where br_netfilter is loaded, Linux's shows every packet to the packet filter. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Lab } from '../test/scenario/lab.ts';

const settings = '/proc/sys/net/bridge';

export function onlySwitch(lab: Lab): void {
  const namespace = lab.director.namespace?.replace(/director$/, 'switch');
  if (namespace === undefined || !existsSync(settings)) return;
  const script = `for each in ${settings}/bridge-nf-call-*; do echo 0 >"$each"; done`;
  execFileSync('ip', ['netns', 'exec', namespace, 'sh', '-c', script]);
}
