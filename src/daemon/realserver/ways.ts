/**
 * The three ways in which a real server comes to accept packets for a virtual address that it must not announce: a
 * REDIRECT rule, the address on `lo`, or the address on the tunnel device that also unwraps ipip packets.
 */
import type { Protocol } from '../../director/table.ts';
import type { Address } from '../../util/ip.ts';
import { familyOf } from '../../util/ip.ts';
import type { Step } from './step.ts';
import { settingStep } from './step.ts';

/** Packets that a director may send to this host without rewriting them. */
export interface Accepted {
  readonly address: Address;
  /** Undefined: whatever the firewall mark lets through. */
  readonly protocol: Protocol | undefined;
  /** 0 is every port. */
  readonly port: number;
  /** Port that the server here listens on, 0 when it is the same. */
  readonly listening: number;
  /** What people call the virtual service. */
  readonly service: string;
}

/** Its own chain, so that what is ours can be seen, and removed without touching anything else. */
export const redirectChain = 'DIRECTORD-REAL';

export function viaIptables(accepted: readonly Accepted[]): readonly Step[] {
  const families = [...new Set(accepted.map(({ address }) => familyOf(address)))];
  return families.flatMap((family) => {
    const ours = accepted.filter(({ address }) => familyOf(address) === family);
    const nat = `${family === 'inet' ? 'iptables' : 'ip6tables'} -w -t nat`;
    const chain: Step = {
      about: 'a chain of our own for what this host is to accept',
      done: `${nat} -n -L ${redirectChain} >/dev/null 2>&1`,
      command: `${nat} -N ${redirectChain}`,
      undo: () => `${nat} -X ${redirectChain}`,
    };
    const about = 'every packet that comes in asks that chain';
    return [
      chain,
      ...ours.map((packets) => redirect(nat, packets)),
      rule(nat, 'PREROUTING', `-j ${redirectChain}`, about),
    ];
  });
}

function redirect(nat: string, { address, protocol, port, listening, service }: Accepted): Step {
  const which = [
    `-d ${address}`,
    ...(protocol === undefined ? [] : [`-p ${protocol}`]),
    ...(port === 0 ? [] : [`--dport ${port}`]),
  ];
  const moved = listening !== 0 && listening !== port && protocol !== undefined;
  const target = `-j REDIRECT${moved ? ` --to-ports ${listening}` : ''}`;
  const tag = `-m comment --comment "directord ${service}"`;
  const where = moved ? `port ${listening} here` : 'this host';
  const about = `${service}: its packets are taken as if they were for ${where}; replies leave with the virtual address`;
  return rule(nat, redirectChain, `${which.join(' ')} ${tag} ${target}`, about);
}

function rule(nat: string, chain: string, text: string, about: string): Step {
  return {
    about,
    done: `${nat} -C ${chain} ${text} 2>/dev/null`,
    command: `${nat} -A ${chain} ${text}`,
    undo: () => `${nat} -D ${chain} ${text}`,
  };
}

export function viaArp(accepted: readonly Accepted[]): readonly Step[] {
  return [...silence(accepted), ...onDevice(accepted, () => 'lo')];
}

/** Fallback tunnel devices take packets from every director that has this host's address. */
export const tunnelDevice = (address: Address): 'tunl0' | 'ip6tnl0' =>
  familyOf(address) === 'inet' ? 'tunl0' : 'ip6tnl0';

const tunnelModule = { tunl0: 'ipip', ip6tnl0: 'ip6_tunnel' } as const;

export function viaIpip(accepted: readonly Accepted[]): readonly Step[] {
  const devices = [...new Set(accepted.map(({ address }) => tunnelDevice(address)))];
  return [...silence(accepted), ...devices.flatMap(tunnel), ...onDevice(accepted, tunnelDevice)];
}

function tunnel(device: 'tunl0' | 'ip6tnl0'): readonly Step[] {
  const module = tunnelModule[device];
  const steps: readonly Step[] = [
    {
      about: `the kernel's module that unwraps packets brings ${device} with it`,
      done: `ip link show dev ${device} >/dev/null 2>&1`,
      command: `modprobe ${module}`,
      undo: () => `modprobe -r ${module}`,
    },
    {
      about: `${device} takes what directors have wrapped for this host`,
      done: `ip link show dev ${device} up | grep -q .`,
      command: `ip link set ${device} up`,
      undo: () => `ip link set ${device} down`,
    },
  ];
  if (device !== 'tunl0') return steps;
  const meaning =
    'clients are not reached through the tunnel that they come from; 2 outweighs a 1 in conf.all';
  return [...steps, settingStep('net.ipv4.conf.tunl0.rp_filter', 2, meaning)];
}

/** Before the address is there. IPv6 needs nothing: neighbour discovery answers for the addresses of one interface. */
function silence(accepted: readonly Accepted[]): readonly Step[] {
  if (!accepted.some(({ address }) => familyOf(address) === 'inet')) return [];
  return [
    settingStep('net.ipv4.conf.all.arp_ignore', 1, 'only the director answers ARP for the virtual address'),
    settingStep('net.ipv4.conf.all.arp_announce', 2, 'nor does this host name it as the sender when it asks'),
  ];
}

function onDevice(accepted: readonly Accepted[], device: (address: Address) => string): readonly Step[] {
  return [...new Set(accepted.map(({ address }) => address))].map((address) => {
    const services = accepted.filter((one) => one.address === address).map(({ service }) => service);
    const [family, length] = familyOf(address) === 'inet' ? ['-4', 32] : ['-6', 128];
    const where = `dev ${device(address)}`;
    // Deprecated: accepted as any other, but never chosen for connections that this host makes.
    const never = family === '-6' ? ' nodad preferred_lft 0' : '';
    return {
      about: `${services.join(', ')}: ${address} is an address of this host, on an interface that nobody can see`,
      done: `ip ${family} address show ${where} to ${address}/${length} | grep -q .`,
      command: `ip ${family} address add ${address}/${length} ${where}${never}`,
      undo: () => `ip ${family} address del ${address}/${length} ${where}`,
    };
  });
}
