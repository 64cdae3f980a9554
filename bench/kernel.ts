/** The kernel as a peer: destination NAT by nftables, in turn over the real servers, and plain routing without any NAT. */
import { Lab } from '../test/scenario/lab.ts';
import { ports, type Peer } from './peer.ts';
import type { PeerOptions } from './peers.ts';

export async function startNftables(options: PeerOptions): Promise<Peer> {
  const lab = await Lab.open('namespaces', options);
  const addresses = lab.servers.map(({ address }) => address);
  const first = addresses[0] ?? '';
  const map = addresses.map((address, i) => `${i} : ${address}`).join(', ');
  const inTurn = `dnat to numgen inc mod ${addresses.length} map { ${map} }`;
  const rules = `table ip bench {
  chain prerouting {
    type nat hook prerouting priority dstnat
    ip daddr ${lab.vip} tcp dport ${ports.web} ${inTurn}
    ip daddr ${lab.vip} udp dport ${ports.sink} ${inTurn}
    ip daddr ${lab.vip} tcp dport ${ports.bulk} dnat to ${first}
    ip daddr ${lab.vip} udp dport ${ports.echo} dnat to ${first}
  }
}
`;
  const { code, stderr } = await lab.director.run(['nft', '-f', '-'], { input: rules });
  if (code !== 0) throw new Error(`nft: ${stderr}`);
  const version = (await lab.director.run(['sh', '-c', 'uname -sr; nft -v'])).stdout
    .trim()
    .replace('\n', ', ');
  return { name: 'nft DNAT', version, lab, program: undefined, ours: false, address: lab.vip };
}

/** The same way without any balancing: clients ask the first real server itself, through a director that only routes. */
export async function startRouting(options: PeerOptions): Promise<Peer> {
  const lab = await Lab.open('namespaces', options);
  const version = (await lab.director.run(['uname', '-sr'])).stdout.trim();
  const servers = lab.servers.map(({ address }) => address);
  const address = servers[0] ?? '';
  return { name: 'routing', version, lab, program: undefined, ours: false, address, servers };
}
