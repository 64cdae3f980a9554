/** The ways through the director that are compared: what each is set up with, and what of a frame is to arrive at the server. */

/** Where frames meet the director and where they end: as packet buffers (tc), or before there is one (XDP). */
export type Hook = 'tc' | 'xdp';

export interface Path {
  readonly title: string;
  readonly hook: Hook;
  /** The client sends there. */
  readonly to: string;
  /** Destination address of what arrives, port {@link port}; undefined: the frames end on arrival at the director. */
  readonly arrivesAt?: string;
  /** Whether the server's answers come through the director. */
  readonly answers?: true;
  /** Shell, in the director. */
  readonly setup: string;
  /** Name of the path whose work it does, and the aim: at most so many times its instructions. */
  readonly against?: { readonly path: string; readonly aim: number };
}

export const vip = '10.1.0.100';
export const server = '10.2.0.11';
export const port = 5000;

const services = (method: string): string => `
	-A -u ${vip}:${port} -s rr
	-a -u ${vip}:${port} -r ${server}:${port} ${method}
	-A -t ${vip}:${port} -s rr
	-a -t ${vip}:${port} -r ${server}:${port} ${method}
	.`;

const ipvs = (method: string): string => `ipvsadm -R <<-.${services(method)}`;

/** Our own, as an operator starts it. */
const directord = (attach: Hook, method: string): string => `
  node /project/dist/bin/directord.js --no-monitor --engine ebpf --attach ${attach} start
  node /project/dist/bin/directoradm.js -R <<-.${services(method)}`;

// A network card has looked at the checksums. Nobody here counts sequence numbers.
const nft = `sysctl -qw net.netfilter.nf_conntrack_checksum=0 net.netfilter.nf_conntrack_tcp_be_liberal=1
  nft -f - <<-.
	table ip bench {
	  chain prerouting {
	    type nat hook prerouting priority dstnat
	    ip daddr ${vip} meta l4proto { tcp, udp } th dport ${port} dnat to ${server}
	  }
	}
	.`;

const nat = { to: vip, arrivesAt: server, answers: true } as const;
const direct = { to: vip, arrivesAt: vip };

/** What generator and sink cost on their own, for each hook: taken off the others. */
export const fixed: Readonly<Record<Hook, string>> = { tc: 'fixed-tc', xdp: 'fixed-xdp' };

export const paths: Readonly<Record<string, Path>> = {
  'fixed-tc': { title: 'generator and sink, tc', hook: 'tc', to: vip, setup: '' },
  'fixed-xdp': { title: 'generator and sink, XDP', hook: 'xdp', to: vip, setup: '' },
  routing: { title: 'plain routing', hook: 'tc', to: server, arrivesAt: server, setup: '' },
  nft: { title: 'nftables DNAT', hook: 'tc', ...nat, setup: nft },
  'ipvs-nat': { title: 'IPVS NAT', hook: 'tc', ...nat, setup: ipvs('-m') },
  'ipvs-dr': { title: 'IPVS DR', hook: 'tc', ...direct, setup: ipvs('-g') },
  'tc-nat': {
    title: 'directord tc NAT',
    hook: 'tc',
    ...nat,
    setup: directord('tc', '-m'),
    against: { path: 'ipvs-nat', aim: 0.5 },
  },
  'tc-dr': {
    title: 'directord tc DR',
    hook: 'tc',
    ...direct,
    setup: directord('tc', '-g'),
    against: { path: 'ipvs-dr', aim: 0.5 },
  },
  'xdp-nat': {
    title: 'directord XDP NAT',
    hook: 'xdp',
    ...nat,
    setup: directord('xdp', '-m'),
    against: { path: 'ipvs-nat', aim: 0.22 },
  },
  'xdp-dr': {
    title: 'directord XDP DR',
    hook: 'xdp',
    ...direct,
    setup: directord('xdp', '-g'),
    against: { path: 'ipvs-dr', aim: 0.22 },
  },
};
