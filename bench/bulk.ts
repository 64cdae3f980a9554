/** Bulk transfers by iperf3, with the offloads of all network interfaces on or off. */
import { waitFor } from '../test/scenario/lab.ts';
import type { Comparison } from './comparison.ts';
import { ports, type Peer } from './peer.ts';
import { startPeers } from './peers.ts';

/** @param seconds of each transfer */
export function bulk(offloads: 'on' | 'off', seconds: number): Comparison {
  return {
    title: `bulk transfer, offloads ${offloads}`,
    metrics: {
      up1: { name: 'to the server, 1 stream', unit: 'Gbit/s', better: 'more' },
      up8: { name: 'to the server, 8 streams', unit: 'Gbit/s', better: 'more' },
      down1: { name: 'to the client, 1 stream', unit: 'Gbit/s', better: 'more' },
      down8: { name: 'to the client, 8 streams', unit: 'Gbit/s', better: 'more' },
    },
    aims: (['up1', 'up8', 'down1', 'down8'] as const).map((metric) => ({
      metric,
      peer: 'tc NAT',
      to: 'routing',
      times: 1,
    })),
    start: async () => {
      const ours = ['nat', 'direct', 'tunnel', 'relay', 'tc-nat', 'tc-direct', 'xdp-nat'] as const;
      const names = [...ours, 'haproxy', 'nginx', 'nftables', 'routing'] as const;
      const peers = await startPeers(names, { offloads, cables: true });
      for (const { lab } of peers) await startServer(lab);
      return peers;
    },
    round: async (peer) => ({
      up1: await iperf(peer, seconds, ['-P', '1']),
      up8: await iperf(peer, seconds, ['-P', '8']),
      down1: await iperf(peer, seconds, ['-R', '-P', '1']),
      down8: await iperf(peer, seconds, ['-R', '-P', '8']),
    }),
  };
}

async function startServer({ servers }: Peer['lab']): Promise<void> {
  const server = servers[0]?.host.start(['iperf3', '-s', '-p', String(ports.bulk), '--forceflush']);
  await waitFor('iperf3', 10, () => server?.stdout.includes('listening'));
}

/** @returns Gbit/s that arrived */
async function iperf(
  { lab, name, address }: Peer,
  seconds: number,
  options: readonly string[],
): Promise<number> {
  const argv = ['iperf3', '-J', '-c', address, '-p', String(ports.bulk), '-t', String(seconds), ...options];
  // A connection of the transfer before may not have ended yet.
  const stdout = await waitFor('iperf3 to be free', 20, async () => {
    const { stdout } = await lab.client.run(argv, { timeout: seconds + 20 });
    return stdout.includes('the server is busy') ? undefined : stdout;
  });
  // Of the whole JSON only this is of interest; a run that failed has none.
  const bits = /"sum_received":\s*\{[^}]*"bits_per_second":\s*([\d.e+]+)/.exec(stdout)?.[1];
  if (bits === undefined) throw new Error(`iperf3 through ${name}: ${stdout.slice(-500)}`);
  return Number(bits) / 1e9;
}
