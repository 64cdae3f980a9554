/** The switch of a laboratory: what it must not do, and what it counts. */
import { execFileSync } from 'node:child_process';
import type { Lab } from '../test/scenario/lab.ts';

/** Where br_netfilter is loaded, Linux shows every packet that it switches to the packet filter. No switch does. */
export function onlySwitch(lab: Lab): void {
  const script =
    'for each in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $each ] || echo 0 >$each; done';
  inSwitch(lab, ['sh', '-c', script]);
}

/**
 * For XDP the director's interfaces have to be what network cards are: what comes has its checksum, and is no longer than a packet;
 * what is sent there is received without a packet buffer.
 */
export function makeCards(lab: Lab): void {
  const card = (device: string) => ['ethtool', '-K', device, 'gro', 'on', 'tx', 'off'];
  inNamespace(lab.client.namespace, card('eth0'));
  for (const { host } of lab.servers) inNamespace(host.namespace, card('eth0'));
  inSwitch(lab, ['sh', '-c', `[ ! -e /sys/class/net/director ] || ${card('director').join(' ')}`]);
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

/** The pinned program takes what the director sends to the servers before the switch has it. @param program undefined: none does */
export function setXdp(lab: Lab, program: string | undefined): void {
  const what = program === undefined ? ['off'] : ['pinned', program];
  inSwitch(lab, ['ip', 'link', 'set', 'dev', 'director', 'xdpdrv', ...what]);
}

function inSwitch({ director }: Lab, command: readonly string[], input = ''): string {
  return inNamespace(director.namespace?.replace(/director$/, 'switch'), command, input);
}

function inNamespace(namespace: string | undefined, command: readonly string[], input = ''): string {
  if (namespace === undefined) throw new Error('a laboratory without namespaces has no switch');
  return execFileSync('ip', ['netns', 'exec', namespace, ...command], { input, encoding: 'utf8' });
}
