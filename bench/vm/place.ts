/** Client, director and server in the guest: the guest itself is the director, the others are network namespaces of it. */
import { sh } from './shell.ts';
import { server, vip } from './paths.ts';

export const client = '10.1.0.2';
/** The director's interfaces towards client and server; at their other ends `eth0`. */
export const [front, back] = ['front', 'back'];

export function build(): void {
  // frames that come without a packet buffer are received as a network card receives them: by NAPI, with GRO
  sh(`
    sysctl -qw net.ipv4.ip_forward=1
    for name in client server; do ip netns add $name; ip -n $name link set lo up; done
    ip link add ${front} type veth peer name eth0 netns client
    ip link add ${back} type veth peer name eth0 netns server
    for link in ${front} ${back}; do ip link set $link up; ethtool -K $link gro on; done
    for name in client server; do ip -n $name link set eth0 up; done
    ip addr add 10.1.0.1/24 dev ${front}
    ip addr add ${vip}/32 dev ${front}
    ip addr add 10.2.0.1/24 dev ${back}
    ip -n client addr add ${client}/24 dev eth0
    ip -n server addr add ${server}/24 dev eth0
    ip -n client route add default via 10.1.0.1
    ip -n server route add default via 10.2.0.1`);
  // neighbours are known, as on any host that works
  sh(`ping -c 1 -W 5 ${client}; ping -c 1 -W 5 ${server}`);
}

/** A BPF object of this folder. */
export function compiled(name: string): string {
  return new URL(`${name}.bpf.o`, import.meta.url).pathname;
}

export interface Link {
  readonly ifindex: number;
  /** Ethernet address. */
  readonly address: string;
}

/** @param namespace that it is in; none: the director's */
export function link(name: string, namespace?: string): Link {
  const where = namespace === undefined ? '' : `-n ${namespace}`;
  const [found] = JSON.parse(sh(`ip ${where} -j link show ${name}`)) as readonly Link[];
  if (found === undefined) throw new Error(`no interface ${name}`);
  return found;
}
