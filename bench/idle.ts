/** Memory: a peer at rest, and with many connections that are silent. */
import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '../test/scenario/lab.ts';
import type { Comparison, Sample } from './comparison.ts';
import { ports, type Peer } from './peer.ts';
import { startPeers } from './peers.ts';
import { residentMegabytes } from './usage.ts';

export function idle(): Comparison {
  return {
    title: 'memory of all processes',
    metrics: {
      idleMemory: { name: 'memory at rest', unit: 'MB', better: 'less' },
      idleConnections: { name: 'idle connections held', unit: 'connections', better: 'more' },
      memory: { name: 'memory with them', unit: 'MB', better: 'less' },
    },
    start: () => startPeers(['nat', 'relay', 'haproxy', 'nginx'], { offloads: 'on' }),
    // Once says it all.
    prepare: measure,
    round: () => Promise.resolve({}),
  };
}

async function measure(peer: Peer): Promise<Sample> {
  const { lab, name } = peer;
  // As many as HAProxy can hold, whose threads share one limit.
  const count = Math.min(10_000, Math.floor((lab.openFiles - 1200) / 2));
  const idleMemory = residentMegabytes(peer);
  const clients = lab.helper(lab.client, 'idle-clients', lab.vip, ports.web, count);
  const report = await waitFor('idle connections', 60, () => clients.lines()[0]);
  if (!report.includes(`"open":${count},`)) throw new Error(`${name}: ${report} of ${count} connections`);
  await pause(1000);
  const memory = residentMegabytes(peer);
  clients.end();
  await clients.stop();
  return { idleMemory, idleConnections: count, memory };
}
