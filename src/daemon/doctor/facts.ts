/**
 * Everything the doctor knows about this host, gathered once. The checks are functions of these facts alone, so that
 * each can be tried with a fault that no test machine has.
 */
import type { AttachChoice } from '../../engines/ebpf/attach-choice.ts';
import type { Fill } from '../../engines/ebpf/fill.ts';
import type { EngineName } from '../../engines/engine.ts';
import type { InterfaceAddress, Link, Neighbour, Route } from '../../platform/netlink.ts';
import type { Address, Family } from '../../util/ip.ts';
import type { Chain } from './firewall/rules.ts';

export interface Facts {
  readonly engine: EngineName;
  readonly root: boolean;
  readonly links: readonly Link[];
  readonly addresses: readonly InterfaceAddress[];
  /** Settings below `/proc/sys`, named as sysctl names them with slashes: `net/ipv4/conf/lo/rp_filter`. */
  readonly settings: ReadonlyMap<string, number>;
  /** To every real server, as the kernel answers; undefined when it has no route. */
  readonly routes: ReadonlyMap<Address, Route | undefined>;
  /** The way to the rest of the world; undefined without one. */
  readonly outside: Readonly<Record<Family, Route | undefined>>;
  readonly neighbours: readonly Neighbour[];
  /** Whether a real server answers a ping; absent when none could be sent. */
  readonly pings: ReadonlyMap<Address, boolean>;
  readonly listeners: readonly Listener[];
  /** Services of the kernel's own IPVS, as {@link serviceKey} writes them; undefined when it is not loaded. */
  readonly kernelServices: readonly string[] | undefined;
  /** Chains of the packet filters, without those of directord; undefined when they cannot be read. */
  readonly chains: readonly Chain[] | undefined;
  readonly conntrack: { readonly count: number; readonly most: number } | undefined;
  /** Programs that are not installed, of those asked for. */
  readonly missingTools: ReadonlySet<string>;
  /** Native packages that cannot be loaded: name and why. */
  readonly unloadable: ReadonlyMap<string, string>;
  /** For each Ethernet interface the offloads that are on and break forwarding in user space. */
  readonly offloads: ReadonlyMap<string, readonly string[]>;
  /** Why the kernel takes no BPF programs; undefined when it does. */
  readonly bpfRefused?: string;
  /** For each interface where the ebpf engine would attach itself, and why; undefined when that cannot be told. */
  readonly attachments?: ReadonlyMap<string, AttachChoice>;
  /** Of the ebpf engine that is in the kernel; undefined without one. */
  readonly fill?: Fill;
}

/** A socket that waits for connections or packets. */
export interface Listener {
  readonly protocol: 'tcp' | 'udp';
  /** `0.0.0.0` or `::` for every address. */
  readonly address: Address;
  readonly port: number;
  /** Name of the process, or empty when it is hidden from us. */
  readonly process: string;
  /** It is directord itself. */
  readonly ours: boolean;
}

export function linkOf(facts: Facts, index: number): Link | undefined {
  return facts.links.find((link) => link.index === index);
}

export function linkNameOf(facts: Facts, index: number): string {
  return linkOf(facts, index)?.name ?? `interface ${index}`;
}

/** Where an address of this host is; undefined when it is none. */
export function placeOf(
  facts: Facts,
  address: Address,
): { readonly link: Link; readonly prefix: number } | undefined {
  for (const held of facts.addresses) {
    const link = held.address === address ? linkOf(facts, held.interfaceIndex) : undefined;
    if (link !== undefined) return { link, prefix: held.prefix };
  }
  return undefined;
}

export function settingOf(facts: Facts, key: string): number {
  return facts.settings.get(key) ?? 0;
}

/** Where the kernel takes the larger of `conf.all` and `conf.IF`: rp_filter, arp_ignore, arp_announce. */
export function largerOf(facts: Facts, name: string, link: string): number {
  return Math.max(
    settingOf(facts, `net/ipv4/conf/all/${name}`),
    settingOf(facts, `net/ipv4/conf/${link}/${name}`),
  );
}

/** The command that sets one; slashes where the interface's name has dots of its own. */
export function sysctl(key: string, value: number): string {
  const dotted = key.includes('.') ? key : key.replaceAll('/', '.');
  return `sysctl -w ${dotted}=${value}`;
}
