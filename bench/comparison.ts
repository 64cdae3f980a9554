/** A comparison: peers, what is measured at each, and interleaved rounds of it, so that a busy moment hits all alike. */
import type { Peer } from './peer.ts';

/** Metric -> value of one measurement; NaN where a peer has no such thing. */
export type Sample = Readonly<Record<string, number>>;

export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
}

/** So many times what a foreign peer has. */
export interface Aim {
  readonly metric: string;
  /** Names of peers. */
  readonly peer: string;
  readonly to: string;
  readonly times: number;
  /** Of the foreign peer, when it is another one. */
  readonly toMetric?: string;
}

export interface Comparison {
  readonly title: string;
  readonly metrics: Readonly<Record<string, Metric>>;
  /** Of metrics that are better when they are more. */
  readonly aims?: readonly Aim[];
  /** Opens the laboratories. Closing them is the caller's. */
  start(): Promise<readonly Peer[]>;
  /** Once with each peer, before the rounds. */
  prepare?(peer: Peer): Promise<Sample>;
  round(peer: Peer): Promise<Sample>;
}

export interface Result {
  readonly peer: string;
  readonly version: string;
  readonly ours: boolean;
  readonly samples: readonly Sample[];
}

export async function compare(
  what: Comparison,
  rounds: number,
  progress: (line: string) => void,
): Promise<readonly Result[]> {
  progress(what.title);
  const peers = await what.start();
  try {
    const samples = new Map<Peer, Sample[]>(peers.map((peer) => [peer, []]));
    for (const [peer, list] of samples) if (what.prepare !== undefined) list.push(await what.prepare(peer));
    for (let i = 1; i <= rounds; i += 1) {
      progress(`  round ${i} of ${rounds}`);
      for (const [peer, list] of samples) list.push(await what.round(peer));
    }
    return Array.from(samples, ([{ name, version, ours }, samples]) => ({
      peer: name,
      version,
      ours,
      samples,
    }));
  } finally {
    for (const { lab } of peers) await lab.close();
  }
}
