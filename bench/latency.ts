/** Round trips of a small UDP packet to a real server and back, one at a time. */
import { join } from 'node:path';
import { waitFor } from '../test/scenario/lab.ts';
import { root } from '../test/scenario/lab/paths.ts';
import type { Comparison } from './comparison.ts';
import { ports } from './peer.ts';
import { startPeers } from './peers.ts';

const probe = [process.execPath, join(root, 'dist/tools/bench/latency-probe.js')];

/** @param seconds of asking */
export function latency(seconds: number): Comparison {
  return {
    title: 'UDP echo, one packet at a time',
    metrics: {
      p50: { name: 'round trip, p50', unit: 'us', better: 'less' },
      p99: { name: 'round trip, p99', unit: 'us', better: 'less' },
    },
    start: async () => {
      const names = ['nat', 'direct', 'relay', 'tc-nat', 'xdp-nat', 'nginx', 'nftables', 'routing'] as const;
      const peers = await startPeers(names, { offloads: 'on', cables: true });
      for (const { lab } of peers) {
        const [first] = lab.servers;
        // A reply comes from the address that was asked: past the director that is the virtual one.
        const address = lab.forwarding === 'masq' ? first?.address : lab.vip;
        const server = first?.host.start([...probe, 'serve', address ?? '', String(ports.echo)]);
        await waitFor('the echo server', 10, () => server?.stdout.includes('ready'));
      }
      return peers;
    },
    round: async ({ lab, address, name }) => {
      const argv = [...probe, 'ask', address, String(ports.echo), String(seconds)];
      const { stdout, stderr } = await lab.client.run(argv, { timeout: seconds + 20 });
      if (stdout === '') throw new Error(`echo through ${name}: ${stderr}`);
      const times = (JSON.parse(stdout) as number[]).sort((a, b) => a - b);
      const at = (part: number) => times[Math.floor(times.length * part)] ?? NaN;
      return { p50: at(0.5), p99: at(0.99) };
    },
  };
}
