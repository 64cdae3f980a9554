/** The switch of a laboratory: what it must not do, and what it counts. */
import { execFileSync } from 'node:child_process';
import type { Lab } from '../test/scenario/lab.ts';

/** Where br_netfilter is loaded, Linux shows every packet that it switches to the packet filter. No switch does. */
export function onlySwitch(lab: Lab): void {
  const script =
    'for each in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $each ] || echo 0 >$each; done';
  inSwitch(lab, ['sh', '-c', script]);
}

/** What the director sends to this UDP port of the servers, in tunnels too, comes no further than its cable. */
export function countAndDrop(lab: Lab, port: number): void {
  // Inside of a tunnel the destination port is 42 bytes into the outer packet.
  const rules = `table netdev bench {
  chain arrivals {
    type filter hook ingress device director priority 0
    ip protocol udp udp dport ${port} counter drop
    ip protocol 4 @nh,336,16 ${port} counter drop
  }
}
`;
  inSwitch(lab, ['nft', '-f', '-'], rules);
}

/** Packets so far that {@link countAndDrop} counted. */
export function arrivals(lab: Lab): number {
  const listing = inSwitch(lab, ['nft', 'list', 'table', 'netdev', 'bench']);
  return Array.from(listing.matchAll(/counter packets (\d+)/g), ([, count]) => Number(count)).reduce(
    (total, count) => total + count,
    0,
  );
}

function inSwitch({ director }: Lab, command: readonly string[], input = ''): string {
  const namespace = director.namespace?.replace(/director$/, 'switch');
  if (namespace === undefined) throw new Error('a laboratory without namespaces has no switch');
  return execFileSync('ip', ['netns', 'exec', namespace, ...command], { input, encoding: 'utf8' });
}
