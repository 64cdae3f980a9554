/**
 * 64-byte UDP packets a second, one way: 4096 flows from the client to three servers. The switch before the servers counts
 * what arrives and drops it, so that their work is no part of it. What is measured has one core: the engine's process, or
 * the kernel's receive queue; the other one has the generator and the interrupts of the network card that it fills.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { childrenOf, familyOf } from '../test/scenario/lab/processes.ts';
import { helper } from '../test/scenario/lab/paths.ts';
import type { Comparison, Sample } from './comparison.ts';
import { ports, type Peer } from './peer.ts';
import { startPeers } from './peers.ts';
import { arrivals, countAndDrop } from './switch.ts';
import { cpuSeconds } from './usage.ts';

const flows = 4096;
/** Of what was sent, still called no loss. */
const tolerated = 0.005;
/** Halvings of the interval in which the highest rate without loss lies. */
const steps = 5;
const [measuredCore, otherCore] = [1, 0];

/** @param seconds of each load */
export function packetRate(seconds: number): Comparison {
  return {
    title: `64-byte UDP packets, ${flows} flows, one core`,
    metrics: {
      lossless: { name: `most with less than ${tolerated * 100} % lost`, unit: 'packets/s', better: 'more' },
      offered: { name: 'flat out: sent', unit: 'packets/s', better: 'more' },
      delivered: { name: 'flat out: arrived', unit: 'packets/s', better: 'more' },
      lost: { name: 'flat out: lost', unit: '%', better: 'less' },
      cpu: { name: 'CPU of it, a million packets', unit: 's', better: 'less' },
    },
    start: async () => {
      const peers = await startPeers(['nat', 'direct', 'tunnel', 'nginx', 'nftables'], { offloads: 'on' });
      for (const peer of peers) {
        countAndDrop(peer.lab, ports.sink);
        await useOneCore(peer);
      }
      return peers;
    },
    round: (peer) => round(peer, seconds),
  };
}

async function round(peer: Peer, seconds: number): Promise<Sample> {
  const flatOut = await flood(peer, 0, seconds);
  let low = 0;
  let high = flatOut.lost < tolerated ? flatOut.offered * 2 : flatOut.offered;
  if (flatOut.lost < tolerated) low = flatOut.offered;
  for (let step = 0; step < steps && flatOut.lost >= tolerated; step += 1) {
    // What arrives flat out is a good first guess of what can be carried.
    const rate = step === 0 ? Math.min(flatOut.delivered, high) : (low + high) / 2;
    const { lost, offered } = await flood(peer, rate, seconds);
    if (lost < tolerated) low = offered;
    else high = rate;
  }
  const { offered, delivered, lost } = flatOut;
  return { lossless: low, offered, delivered, lost: lost * 100, cpu: flatOut.cpu * 1e6 };
}

interface Flood {
  /** Packets a second. */
  readonly offered: number;
  readonly delivered: number;
  /** 0 to 1. */
  readonly lost: number;
  /** Seconds of the peer's processes for each packet that arrived. */
  readonly cpu: number;
}

/** @param rate packets a second, 0 for as many as possible */
async function flood(peer: Peer, rate: number, seconds: number): Promise<Flood> {
  const { lab, address } = peer;
  const before = { arrived: arrivals(lab), cpu: cpuSeconds(peer) };
  const router = (await lab.director.run(['cat', '/sys/class/net/front/address'])).stdout.trim();
  const target = [address, ports.sink, Math.round(rate), seconds].map(String);
  const generator = [process.execPath, helper('flood'), 'eth0', router, 'udp', '10.1.0.2', String(flows)];
  const { stdout, stderr } = await lab.client.run(
    ['taskset', '-c', String(otherCore), ...generator, ...target],
    { timeout: seconds + 20 },
  );
  if (stdout === '') throw new Error(`flood through ${peer.name}: ${stderr}`);
  const { sent, seconds: took } = JSON.parse(stdout) as { sent: number; seconds: number };
  await pause(200);
  const arrived = arrivals(lab) - before.arrived;
  return {
    offered: sent / took,
    delivered: arrived / took,
    lost: Math.max(0, 1 - arrived / sent),
    cpu: (cpuSeconds(peer) - before.cpu) / arrived,
  };
}

/** The kernel forwards where packets are received, so for it the receive queue moves; a program is bound to its core. */
async function useOneCore({ lab, program, name }: Peer): Promise<void> {
  if (program === undefined) {
    const mask = (1 << measuredCore).toString(16);
    const { code, stderr } = await lab.director.run([
      'sh',
      '-c',
      `echo ${mask} >/sys/class/net/front/queues/rx-0/rps_cpus`,
    ]);
    if (code !== 0) throw new Error(`receive queue of ${name}: ${stderr}`);
    return;
  }
  for (const pid of childrenOf(program.pid).flatMap(familyOf))
    await lab.director.run(['taskset', '-a', '-c', '-p', String(measuredCore), String(pid)]);
}
