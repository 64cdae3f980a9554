/**
 * What has to be done on a host so that it can be a real server of a configuration: which services it stands behind,
 * by which way it accepts their packets, and what no program can do for it.
 */
import type { Way } from '../../cli/host-commands.ts';
import type { Configuration, Fallback, Real, Virtual } from '../../config/model.ts';
import type { Forwarding } from '../../director/table.ts';
import { serviceFamily, serviceKey } from '../../director/table.ts';
import type { Address } from '../../util/ip.ts';
import { familyOf } from '../../util/ip.ts';
import type { Step } from './step.ts';
import type { Accepted } from './ways.ts';
import { viaArp, viaIpip, viaIptables } from './ways.ts';

export interface Plan {
  /** In the order in which they have to be done. */
  readonly steps: readonly Step[];
  /** What stays to be done or known by a person; one sentence each. */
  readonly notes: readonly string[];
}

export interface Wishes {
  readonly via: Way | undefined;
  /** Virtual addresses behind the firewall marks. */
  readonly marked: readonly Address[];
}

interface Role {
  readonly virtual: Virtual;
  readonly server: Real | Fallback;
}

/** Addresses of real servers and fallback servers, each once, in the order of the file; not those of loopback. */
export function serverAddresses({ virtuals }: Configuration): readonly Address[] {
  const all = virtuals.flatMap((virtual) => servers(virtual).map(({ address }) => address));
  return [...new Set(all)].filter((address) => !isLoopback(address));
}

/** @param as the addresses that this host is a real server with */
export function planFor({ virtuals }: Configuration, as: ReadonlySet<Address>, wishes: Wishes): Plan {
  const roles = virtuals.flatMap((virtual) =>
    servers(virtual)
      .filter(({ address }) => as.has(address))
      .map((server): Role => ({ virtual, server })),
  );
  const accepted: Record<Way, Accepted[]> = { iptables: [], arp: [], ipip: [] };
  const notes: string[] = [];
  for (const role of roles) {
    const way = wayOf(role.server.forwarding, wishes.via);
    if (way === undefined) notes.push(whyNoWay(role, wishes.via));
    else {
      const packets = acceptedBy(role, wishes.marked);
      if (packets.length === 0) notes.push(unknownMark(role.virtual));
      accepted[way].push(...packets);
    }
  }
  const steps = [...viaIptables(accepted.iptables), ...viaArp(accepted.arp), ...viaIpip(accepted.ipip)];
  return { steps: uniqueBy(steps, ({ command }) => command), notes: [...new Set(notes)] };
}

function servers({ reals, fallback }: Virtual): readonly (Real | Fallback)[] {
  return fallback === undefined ? reals : [...reals, fallback];
}

function wayOf(forwarding: Forwarding, via: Way | undefined): Way | undefined {
  if (forwarding === 'ipip') return via === undefined || via === 'ipip' ? 'ipip' : undefined;
  if (forwarding === 'gate') return via === undefined ? 'arp' : via === 'ipip' ? undefined : via;
  return undefined;
}

function acceptedBy({ virtual, server }: Role, marked: readonly Address[]): readonly Accepted[] {
  const { service } = virtual;
  const name = serviceKey(service);
  if (service.kind === 'address') {
    const { address, protocol, port } = service;
    return [{ address, protocol, port, listening: server.port, service: name }];
  }
  return marked
    .filter((address) => familyOf(address) === serviceFamily(service))
    .map((address) => ({ address, protocol: undefined, port: 0, listening: 0, service: name }));
}

function whyNoWay({ virtual, server }: Role, via: Way | undefined): string {
  const subject = `${serviceKey(virtual.service)} is ${server.forwarding} for ${server.address}`;
  if (server.forwarding === 'gate')
    return `${subject}: its packets come unwrapped, so --via ipip is no way for it; use arp or iptables`;
  if (server.forwarding === 'ipip')
    return `${subject}: its packets come wrapped, and --via ${via ?? ''} does not unwrap them; use ipip`;
  if (server.forwarding === 'local') return `${subject}: nothing has to be done`;
  const six = familyOf(server.address) === 'inet6' ? ' -6' : '';
  return (
    `${subject}: its packets come for that address, so nothing has to be accepted; but every reply must pass the` +
    ' director, which must be the route of this host towards the clients. The file does not tell the' +
    ` director's address. Usually: ip${six} route replace default via ADDRESS-OF-THE-DIRECTOR`
  );
}

function unknownMark({ service }: Virtual): string {
  return (
    `${serviceKey(service)} is a firewall mark: only the rules of the director that set it tell for which virtual` +
    ' addresses and ports its packets are. Name the addresses with --vip ADDRESS'
  );
}

function isLoopback(address: Address): boolean {
  return address === '::1' || address.startsWith('127.');
}

function uniqueBy<T>(all: readonly T[], key: (one: T) => string): readonly T[] {
  return [...new Map(all.map((one) => [key(one), one] as const)).values()];
}
