/**
 * Why iptables cannot keep the kernel off a captured bridge: with br_netfilter (docker switches it on) its rules see a frame while
 * the bridge still looks for the port that it goes to. What they drop there never arrives at the bridge's own interface, where it is captured.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { GuardedInterface } from './guard-state.ts';
import type { Link } from './netlink.ts';
import { Netlink } from './netlink.ts';

/** Kinds of link that receive through another one. */
const above: ReadonlySet<string> = new Set(['vlan', 'macvlan']);

/** @returns what is wrong and what to do about it, in words for people */
export function bridgeTrouble(interfaces: readonly GuardedInterface[]): string | undefined {
  const links = new Map(allLinks().map((link) => [link.index, link]));
  const bridges = new Set<string>();
  for (const { index } of interfaces) {
    let link = links.get(index);
    while (link?.lower !== undefined && above.has(link.kind)) link = links.get(link.lower);
    if (link?.kind === 'bridge') bridges.add(link.name);
  }
  const settings = filtering([...bridges]);
  if (settings.length === 0) return undefined;
  return (
    `iptables: would drop what the bridge ${[...bridges].join(', ')} receives before it can be captured: ` +
    `install the Debian package nftables, or set ${settings.join(' and ')} to 0`
  );
}

function allLinks(): Link[] {
  const netlink = new Netlink();
  try {
    return netlink.links();
  } finally {
    netlink.close();
  }
}

/** The settings that make frames between the ports of a bridge go through iptables. */
function filtering(bridges: readonly string[]): string[] {
  if (bridges.length === 0 || !existsSync('/proc/sys/net/bridge')) return [];
  const programs = ['iptables', 'ip6tables'];
  const all = programs
    .filter((program) => isOn(`/proc/sys/net/bridge/bridge-nf-call-${program}`))
    .map((program) => `net.bridge.bridge-nf-call-${program}`);
  const each = bridges
    .flatMap((bridge) => programs.map((program) => `/sys/class/net/${bridge}/bridge/nf_call_${program}`))
    .filter(isOn);
  return [...all, ...each];
}

function isOn(file: string): boolean {
  return existsSync(file) && readFileSync(file, 'utf8').trim() !== '0';
}
