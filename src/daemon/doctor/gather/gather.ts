/** Looks at this host: everything that the checks of the doctor want to know, in one go of at most a few seconds. */
import { existsSync, readFileSync } from 'node:fs';
import type { AttachMode } from '../../../engines/ebpf/attach-choice.ts';
import type { EngineName } from '../../../engines/engine.ts';
import type { Virtual } from '../../../config/model.ts';
import { whyNotLoadable } from '../../../platform/loadable.ts';
import { Netlink } from '../../../platform/netlink.ts';
import { offloadsOn } from '../../../platform/offloads.ts';
import { createPing } from '../../../platform/ping.ts';
import { runToolSync } from '../../../platform/run-tool.ts';
import type { Address } from '../../../util/ip.ts';
import { systemClock } from '../../../util/clock.ts';
import type { Facts } from '../facts.ts';
import { isLoopback } from '../subject.ts';
import type { BpfFacts } from './attachments.ts';
import { gatherBpf } from './attachments.ts';
import { gatherChains } from './firewall.ts';
import { readKernelServices } from './kernel-services.ts';
import { gatherListeners } from './listeners.ts';
import { gatherFill } from './tables.ts';

/** Addresses that no network here has (RFC 5737, RFC 3849): the kernel's way to them is its default route. */
const elsewhere = { inet: '198.51.100.1', inet6: '2001:db8:ffff:ffff::1' } as const;

/** Milliseconds that a real server may take to answer. */
const patience = 1500;

export interface Host {
  readonly engine: EngineName;
  readonly uid: number;
  readonly attach: AttachMode;
}

export async function gather(virtuals: readonly Virtual[], host: Host): Promise<Facts> {
  const servers = serversOf(virtuals);
  const root = host.uid === 0;
  const netlink = new Netlink();
  try {
    const links = netlink.links();
    const addresses = netlink.addresses();
    const remote = servers.filter((server) => !addresses.some(({ address }) => address === server));
    const pings = await pingAll(remote);
    const bpf = host.engine === 'ebpf' ? await gatherBpf(links, host.attach) : {};
    const { unloadable: withoutLibbpf, ...bpfFacts }: BpfFacts = bpf;
    const hasTables = host.engine === 'ebpf' && root && withoutLibbpf === undefined;
    const fill = hasTables ? await gatherFill() : undefined;
    return {
      engine: host.engine,
      root,
      links,
      addresses,
      settings: readSettings(links.map(({ name }) => name)),
      routes: new Map(servers.map((server) => [server, netlink.route(server)])),
      outside: { inet: netlink.route(elsewhere.inet), inet6: netlink.route(elsewhere.inet6) },
      neighbours: netlink.neighbours(),
      pings,
      listeners: gatherListeners(
        new Set(virtuals.flatMap(({ service }) => ('port' in service ? service.port : []))),
      ),
      kernelServices: readKernel(),
      chains: root ? gatherChains(runToolSync) : undefined,
      conntrack: readConntrack(),
      missingTools: new Set(['nft', 'iptables'].filter((tool) => runToolSync(tool, ['--version']).missing)),
      unloadable: unloadable(withoutLibbpf),
      ...bpfFacts,
      ...(fill && { fill }),
      offloads: new Map(
        links.filter(({ ethernet, up }) => ethernet && up).map(({ name }) => [name, offloadsOn(name)]),
      ),
    };
  } finally {
    netlink.close();
  }
}

function serversOf(virtuals: readonly Virtual[]): readonly Address[] {
  const all = virtuals.flatMap(({ reals, fallback }) => [...reals, ...(fallback ? [fallback] : [])]);
  return [...new Set(all.map(({ address }) => address))].filter((address) => !isLoopback(address));
}

/** All at once. Absent from the answer: those that no ping could be sent to. */
async function pingAll(servers: readonly Address[]): Promise<ReadonlyMap<Address, boolean>> {
  const ping = createPing(systemClock);
  const answers = await Promise.all(
    servers.map(async (server): Promise<readonly [Address, boolean] | undefined> => {
      const end = AbortSignal.timeout(patience);
      try {
        await ping(server, { count: 2, milliseconds: patience / 3 }, end);
        return [server, true];
      } catch {
        // Neither a host without an answer nor one that cannot be pinged is our failure; they differ in what they mean.
        return end.aborted ? [server, false] : undefined;
      }
    }),
  );
  return new Map(answers.flatMap((answer) => (answer === undefined ? [] : [answer])));
}

const general = [
  'net/ipv4/ip_forward',
  'net/ipv6/conf/all/forwarding',
  'net/ipv4/ip_nonlocal_bind',
  'net/ipv6/ip_nonlocal_bind',
  'net/core/bpf_jit_enable',
];
const ofInterfaces = ['rp_filter', 'arp_ignore', 'arp_announce', 'send_redirects', 'forwarding'];

function readSettings(interfaces: readonly string[]): ReadonlyMap<string, number> {
  const conf = ['all', ...interfaces].flatMap((name) =>
    ofInterfaces.map((key) => `net/ipv4/conf/${name}/${key}`),
  );
  return new Map(
    [...general, ...conf].flatMap((key) => {
      const text = readIfThere(`/proc/sys/${key}`);
      return text === undefined ? [] : [[key, Number(text)] as const];
    }),
  );
}

function readKernel(): readonly string[] | undefined {
  const text = readIfThere('/proc/net/ip_vs');
  return text === undefined ? undefined : readKernelServices(text);
}

function readConntrack(): Facts['conntrack'] {
  const count = readIfThere('/proc/sys/net/netfilter/nf_conntrack_count');
  const most = readIfThere('/proc/sys/net/netfilter/nf_conntrack_max');
  return count === undefined || most === undefined ? undefined : { count: Number(count), most: Number(most) };
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** @param libbpf why that cannot be loaded */
function unloadable(libbpf: string | undefined): ReadonlyMap<string, string> {
  const names = ['koffi', 'cap', 'raw-socket'] as const;
  const all = [...names.map((name) => [name, whyNotLoadable(name)] as const), ['libbpf', libbpf] as const];
  return new Map(all.flatMap(([name, why]) => (why === undefined ? [] : [[name, why] as const])));
}
