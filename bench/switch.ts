/** The switch of a laboratory: what it must not do, and on which core its and the real servers' work is done. */
import { execFileSync } from 'node:child_process';
import type { Lab } from '../test/scenario/lab.ts';

/** Where br_netfilter is loaded, Linux shows every packet that it switches to the packet filter. No switch does. */
export function onlySwitch(lab: Lab): void {
  inSwitch(
    lab,
    'for each in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $each ] || echo 0 >$each; done',
  );
}

/** What is sent to the switch, it and the real servers take in there, and not on the core of whoever sent it. */
export function switchOn(lab: Lab, core: number): void {
  const mask = (1 << core).toString(16);
  inSwitch(lab, `for each in /sys/class/net/*/queues/rx-0/rps_cpus; do echo ${mask} >$each; done`);
}

function inSwitch({ director }: Lab, script: string): void {
  const namespace = director.namespace?.replace(/director$/, 'switch');
  if (namespace !== undefined) execFileSync('ip', ['netns', 'exec', namespace, 'sh', '-c', script]);
}
