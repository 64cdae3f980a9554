/** directord as a peer: each engine, with each forwarding method that can be compared. */
import { Lab } from '../test/scenario/lab.ts';
import { ports, type Peer } from './peer.ts';
import type { PeerOptions } from './peers.ts';
import { makeCards } from './switch.ts';

interface Setup {
  readonly name: string;
  readonly engine: 'relay' | 'packet' | 'ebpf';
  readonly routing: 'nat' | 'direct' | 'tunnel';
  /** Of the ebpf engine. */
  readonly attach?: 'tc' | 'xdp';
}

const setups = {
  nat: { name: 'packet NAT', engine: 'packet', routing: 'nat' },
  direct: { name: 'packet DR', engine: 'packet', routing: 'direct' },
  tunnel: { name: 'packet TUN', engine: 'packet', routing: 'tunnel' },
  relay: { name: 'relay', engine: 'relay', routing: 'nat' },
  'tc-nat': { name: 'tc NAT', engine: 'ebpf', routing: 'nat', attach: 'tc' },
  'tc-direct': { name: 'tc DR', engine: 'ebpf', routing: 'direct', attach: 'tc' },
  'tc-tunnel': { name: 'tc TUN', engine: 'ebpf', routing: 'tunnel', attach: 'tc' },
  'xdp-nat': { name: 'XDP NAT', engine: 'ebpf', routing: 'nat', attach: 'xdp' },
  'xdp-direct': { name: 'XDP DR', engine: 'ebpf', routing: 'direct', attach: 'xdp' },
} as const satisfies Readonly<Record<string, Setup>>;

export type Way = keyof typeof setups;

const options = { masq: '-m', gate: '-g', ipip: '-i' } as const;

export async function startDirectord(way: Way, { offloads, cables }: PeerOptions): Promise<Peer> {
  const setup: Setup = setups[way];
  const { name, engine, routing, attach } = setup;
  const lab = await Lab.open('namespaces', {
    engine,
    routing,
    offloads,
    cables: cables === true && routing === 'nat',
  });
  // the servers' end of a tunnel is a program here, and sees no packet that hardware would complete
  const cards = attach === 'xdp' || (engine === 'ebpf' && routing === 'tunnel');
  if (cards) makeCards(lab);
  const attached = attach === undefined ? [] : ['--attach', attach];
  const program = await lab.startDirectord(...attached, '--no-monitor', 'start');
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
  const plain = (await lab.directord('-v')).stdout.split(' (')[0] ?? '';
  const version = cards ? `${plain}; its neighbours with GRO, without checksum offload` : plain;
  const inKernel = engine === 'ebpf';
  return { name, version, lab, program: inKernel ? undefined : program, ours: true, address: lab.vip };
}
