/** Client, director and server in the guest: the guest itself is the director, the others are network namespaces of it. */
import { sh } from './shell.ts';
import { server, vip } from './paths.ts';

export const client = '10.1.0.2';
/** The director's interfaces towards client and server; at their other ends `eth0`. */
export const [front, back] = ['front', 'back'];

export function build(): void {
  sh(`
    sysctl -qw net.ipv4.ip_forward=1
    for name in client server; do ip netns add $name; ip -n $name link set lo up; done
    ip link add ${front} type veth peer name eth0 netns client
    ip link add ${back} type veth peer name eth0 netns server
    for link in ${front} ${back}; do ip link set $link up; done
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

/** Ethernet address of an interface; with a namespace, of one there. */
export function mac(link: string, namespace?: string): string {
  const where = namespace === undefined ? '' : `-n ${namespace}`;
  const [found] = JSON.parse(sh(`ip ${where} -j link show ${link}`)) as readonly { address: string }[];
  if (found === undefined) throw new Error(`no interface ${link}`);
  return found.address;
}
