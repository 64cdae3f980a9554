/**
 * 64-byte UDP packets a second, one way: 4096 flows from the client to three servers. The switch before the servers counts
 * what arrives and drops it, so that their work is no part of it. A program has one core; the other one has the generator and the
 * interrupts of the network card that it fills. What forwards in the kernel shares one core with the generator: see {@link Card}.
 * For XDP once more with an XDP program that drops, as where packets leave by a real card and become no packet buffers.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { childrenOf, familyOf } from '../test/scenario/lab/processes.ts';
import { helper } from '../test/scenario/lab/paths.ts';
import type { Program } from '../test/scenario/lab.ts';
import { Card } from './card.ts';
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
  const cards = new Map<Peer, Card>();
  return {
    title: `64-byte UDP packets, ${flows} flows, one core`,
    metrics: {
      lossless: { name: `most with less than ${tolerated * 100} % lost`, unit: 'packets/s', better: 'more' },
      offered: { name: 'flat out: sent', unit: 'packets/s', better: 'more' },
      delivered: { name: 'flat out: arrived', unit: 'packets/s', better: 'more' },
      lost: { name: 'flat out: lost', unit: '%', better: 'less' },
      intoXdp: { name: 'flat out, dropped by XDP: arrived', unit: 'packets/s', better: 'more' },
      cpu: { name: 'CPU of it, a million packets', unit: 's', better: 'less' },
    },
    aims: [
      { metric: 'delivered', peer: 'XDP NAT', to: 'routing', times: 2 },
      { metric: 'intoXdp', peer: 'XDP NAT', to: 'routing', toMetric: 'delivered', times: 3.5 },
    ],
    start: async () => {
      const ours = [
        'nat',
        'direct',
        'tunnel',
        'tc-nat',
        'tc-direct',
        'tc-tunnel',
        'xdp-nat',
        'xdp-direct',
      ] as const;
      const peers = await startPeers([...ours, 'nginx', 'nftables', 'routing'], { offloads: 'on' });
      for (const peer of peers) countAndDrop(peer.lab, ports.sink);
      for (const peer of peers) {
        if (peer.program === undefined) cards.set(peer, await Card.make(peer, measuredCore, flows));
        else await useOneCore(peer, peer.program);
      }
      return peers;
    },
    round: (peer) => {
      const card = cards.get(peer);
      return card === undefined ? round(peer, seconds) : cardRound(peer, card, seconds);
    },
  };
}

/** Nobody sends more than can be carried. */
async function cardRound({ lab, name }: Peer, card: Card, seconds: number): Promise<Sample> {
  const before = arrivals(lab);
  const { sent, seconds: took } = await card.flood(seconds);
  const arrived = arrivals(lab) - before;
  const delivered = arrived / took;
  const plain = { lossless: delivered, offered: sent / took, delivered, lost: (1 - arrived / sent) * 100 };
  if (!name.startsWith('XDP')) return plain;
  const [taken, flood] = await card.intoXdp(() => card.flood(seconds));
  return { ...plain, intoXdp: taken / flood.seconds };
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

async function useOneCore({ lab }: Peer, program: Program): Promise<void> {
  for (const pid of childrenOf(program.pid).flatMap(familyOf))
    await lab.director.run(['taskset', '-a', '-c', '-p', String(measuredCore), String(pid)]);
}
