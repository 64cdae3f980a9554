/** Web traffic: new connections, requests on open ones, and what both cost. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Comparison, Sample } from './comparison.ts';
import { ports, type Peer } from './peer.ts';
import { startPeers } from './peers.ts';
import { cpuSeconds, machineSeconds } from './usage.ts';

const ours = ['nat', 'direct', 'tunnel', 'relay', 'tc-nat', 'tc-direct', 'xdp-nat'] as const;
const peers = [...ours, 'haproxy', 'nginx', 'nftables', 'routing'] as const;

/** @param seconds of each load */
export function web(seconds: number): Comparison {
  return {
    title: 'web traffic: 66 clients, three servers',
    metrics: {
      connections: { name: 'new connections', unit: '/s', better: 'more' },
      requests: { name: 'requests, keep-alive', unit: '/s', better: 'more' },
      connectionCpu: { name: 'CPU of it, a million connections', unit: 's', better: 'less' },
      requestCpu: { name: 'CPU of it, a million requests', unit: 's', better: 'less' },
      machineCpu: { name: 'CPU of the machine, a million connections', unit: 's', better: 'less' },
      machineRequestCpu: { name: 'CPU of the machine, a million requests', unit: 's', better: 'less' },
    },
    aims: [
      { metric: 'connections', peer: 'tc NAT', to: 'routing', times: 1 },
      { metric: 'connections', peer: 'tc NAT', to: 'nft DNAT', times: 1.4 },
      { metric: 'connections', peer: 'tc NAT', to: 'haproxy', times: 2.2 },
      { metric: 'requests', peer: 'tc NAT', to: 'routing', times: 1 },
    ],
    start: () => startPeers(peers, { offloads: 'on', cables: true }),
    round: (peer) => round(peer, seconds),
  };
}

async function round(peer: Peer, seconds: number): Promise<Sample> {
  const opening = await wrk(peer, seconds, ['-t3', '-H', 'Connection: close', ...spread(peer)]);
  const asking = await wrk(peer, seconds, ['-t1']);
  return {
    connections: opening.rate,
    requests: asking.rate,
    connectionCpu: (opening.cpu / opening.requests) * 1e6,
    requestCpu: (asking.cpu / asking.requests) * 1e6,
    machineCpu: (opening.machine / opening.requests) * 1e6,
    machineRequestCpu: (asking.machine / asking.requests) * 1e6,
  };
}

interface WebLoad {
  readonly requests: number;
  /** Requests a second. */
  readonly rate: number;
  /** CPU seconds of the peer's processes, and of the whole machine. */
  readonly cpu: number;
  readonly machine: number;
}

async function wrk(peer: Peer, seconds: number, options: readonly string[]): Promise<WebLoad> {
  const { lab, name, address } = peer;
  const before = { cpu: cpuSeconds(peer), machine: machineSeconds() };
  const argv = ['wrk', '-t3', '-c66', `-d${seconds}s`, ...options, `http://${address}:${ports.web}/`];
  const { stdout, stderr } = await lab.client.run(argv, { timeout: seconds + 20 });
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? NaN);
  const rate = Number(/Requests\/sec: +([\d.]+)/.exec(stdout)?.[1] ?? NaN);
  const errors = /Socket errors: .*|Non-2xx.*/.exec(stdout)?.[0];
  if (!(requests > 0)) throw new Error(`wrk through ${name}: ${stdout}${stderr}`);
  if (errors !== undefined) process.stderr.write(`${name}: ${errors}\n`);
  return { requests, rate, cpu: cpuSeconds(peer) - before.cpu, machine: machineSeconds() - before.machine };
}

/** Where nobody balances, each thread asks a server of its own: one process that serves all is quicker than three. */
function spread({ lab, servers }: Peer): readonly string[] {
  if (servers === undefined) return [];
  const script = join(lab.directory, 'spread.lua');
  writeFileSync(
    script,
    `local addresses, threads = { ${servers.map((address) => `"${address}"`).join(', ')} }, 0
function setup(thread)
  threads = threads + 1
  thread.addr = wrk.lookup(addresses[(threads - 1) % #addresses + 1], "${ports.web}")[1]
end
`,
  );
  return ['-s', script];
}
