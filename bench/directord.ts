/** directord as a peer: the packet engine with each forwarding method, and the relay. */
import { Lab } from '../test/scenario/lab.ts';
import { ports, type Peer } from './peer.ts';

export type Way = 'nat' | 'direct' | 'tunnel' | 'relay';

const names = { nat: 'packet NAT', direct: 'packet DR', tunnel: 'packet TUN', relay: 'relay' } as const;
const options = { masq: '-m', gate: '-g', ipip: '-i' } as const;

export async function startDirectord(way: Way, offloads: 'on' | 'off'): Promise<Peer> {
  const network =
    way === 'relay'
      ? ({ engine: 'relay', routing: 'nat' } as const)
      : ({ engine: 'packet', routing: way } as const);
  const lab = await Lab.open('namespaces', { ...network, offloads });
  const program = await lab.startDirectord('--no-monitor', 'start');
  const addresses = lab.servers.map(({ address }) => address);
  const first = addresses.slice(0, 1);
  const rules = (protocol: 't' | 'u', port: number, servers: readonly string[]) => [
    `-A -${protocol} ${lab.vip}:${port} -s rr`,
    ...servers.map(
      (server) => `-a -${protocol} ${lab.vip}:${port} -r ${server}:${port} ${options[lab.forwarding]}`,
    ),
  ];
  const table = [
    ...rules('t', ports.web, addresses),
    ...rules('t', ports.bulk, first),
    ...rules('u', ports.sink, addresses),
    ...rules('u', ports.echo, first),
  ];
  const { code, stderr } = await lab.admInput(`${table.join('\n')}\n`, '-R');
  if (code !== 0) throw new Error(`directoradm -R: ${stderr}`);
  const version = (await lab.directord('-v')).stdout.split(' (')[0] ?? '';
  return { name: names[way], version, lab, program, ours: true, address: lab.vip };
}
