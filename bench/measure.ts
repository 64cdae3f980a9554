/** The measurements: what one load does through one peer, and what it costs. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { waitFor, type Lab } from '../test/scenario/lab.ts';
import { familyOf } from '../test/scenario/lab/processes.ts';
import type { Peer } from './peers.ts';

/** Metric -> value of one measurement. */
export type Sample = Readonly<Record<string, number>>;

export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
}

export const metrics = {
  connections: { name: 'new connections', unit: '/s', better: 'more' },
  requests: { name: 'requests, keep-alive', unit: '/s', better: 'more' },
  up1: { name: 'bulk to the server, 1 stream', unit: 'Gbit/s', better: 'more' },
  up8: { name: 'bulk to the server, 8 streams', unit: 'Gbit/s', better: 'more' },
  down1: { name: 'bulk to the client, 1 stream', unit: 'Gbit/s', better: 'more' },
  down8: { name: 'bulk to the client, 8 streams', unit: 'Gbit/s', better: 'more' },
  connectionCpu: { name: 'CPU of it, a million connections', unit: 's', better: 'less' },
  requestCpu: { name: 'CPU of it, a million requests', unit: 's', better: 'less' },
  machineCpu: { name: 'CPU of the machine, a million connections', unit: 's', better: 'less' },
  idleMemory: { name: 'memory at rest', unit: 'MB', better: 'less' },
  idleConnections: { name: 'idle connections held', unit: 'connections', better: 'more' },
  memory: { name: 'memory with them', unit: 'MB', better: 'less' },
} as const satisfies Record<string, Metric>;

/** One round of loads through one peer. @param seconds of each */
export async function loadRound(lab: Lab, peer: Peer, seconds: number): Promise<Sample> {
  const opening = await wrk(lab, peer, seconds, ['-H', 'Connection: close']);
  const asking = await wrk(lab, peer, seconds, []);
  const bulk = Math.max(1, Math.ceil(seconds / 2));
  return {
    connections: opening.rate,
    requests: asking.rate,
    connectionCpu: (opening.cpu / opening.requests) * 1e6,
    requestCpu: (asking.cpu / asking.requests) * 1e6,
    machineCpu: (opening.machine / opening.requests) * 1e6,
    up1: await iperf(lab, peer, bulk, ['-P', '1']),
    up8: await iperf(lab, peer, bulk, ['-P', '8']),
    down1: await iperf(lab, peer, bulk, ['-R', '-P', '1']),
    down8: await iperf(lab, peer, bulk, ['-R', '-P', '8']),
  };
}

/** Memory of all processes of a peer before and while so many connections are open and silent. */
export async function idleRound(lab: Lab, peer: Peer, count: number): Promise<Sample> {
  const idleMemory = residentMegabytes(peer);
  const clients = lab.helper(lab.client, 'idle-clients', lab.vip, peer.web, count);
  const report = await waitFor('idle connections', 60, () => clients.lines()[0]);
  if (!report.includes(`"open":${count},`))
    throw new Error(`${peer.name}: ${report} of ${count} connections`);
  await pause(1000);
  const memory = residentMegabytes(peer);
  clients.end();
  await clients.stop();
  return { idleMemory, idleConnections: count, memory };
}

interface WebLoad {
  readonly requests: number;
  /** Requests a second. */
  readonly rate: number;
  /** CPU seconds of the peer's processes, and of the whole machine. */
  readonly cpu: number;
  readonly machine: number;
}

async function wrk(lab: Lab, peer: Peer, seconds: number, options: readonly string[]): Promise<WebLoad> {
  const before = { cpu: cpuSeconds(peer), machine: machineSeconds() };
  const url = `http://${lab.vip}:${peer.web}/`;
  const argv = ['wrk', '-t1', '-c64', `-d${seconds}s`, ...options, url];
  const { stdout, stderr } = await lab.client.run(argv, { timeout: seconds + 20 });
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? NaN);
  const rate = Number(/Requests\/sec: +([\d.]+)/.exec(stdout)?.[1] ?? NaN);
  const errors = /Socket errors: .*|Non-2xx.*/.exec(stdout)?.[0];
  if (!(requests > 0)) throw new Error(`wrk through ${peer.name}: ${stdout}${stderr}`);
  if (errors !== undefined) process.stderr.write(`${peer.name}: ${errors}\n`);
  return { requests, rate, cpu: cpuSeconds(peer) - before.cpu, machine: machineSeconds() - before.machine };
}

/** @returns Gbit/s that arrived */
async function iperf(lab: Lab, peer: Peer, seconds: number, options: readonly string[]): Promise<number> {
  const argv = ['iperf3', '-J', '-c', lab.vip, '-p', String(peer.bulk), '-t', String(seconds), ...options];
  const { stdout } = await lab.client.run(argv, { timeout: seconds + 20 });
  // Of the whole JSON only this is of interest; a run that failed has none.
  const bits = /"sum_received":\s*\{[^}]*"bits_per_second":\s*([\d.e+]+)/.exec(stdout)?.[1];
  if (bits === undefined) throw new Error(`iperf3 through ${peer.name}: ${stdout.slice(-500)}`);
  return Number(bits) / 1e9;
}

const ticksASecond = 100;

function cpuSeconds(peer: Peer): number {
  const ticks = familyOf(peer.program.pid).map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return sum(ticks) / ticksASecond;
}

/** Everything but idle and waiting for disks. */
function machineSeconds(): number {
  const line = readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/ +/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) / ticksASecond;
}

function residentMegabytes(peer: Peer): number {
  const kilobytes = familyOf(peer.program.pid).map((pid) =>
    Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0),
  );
  return sum(kilobytes) / 1000;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
