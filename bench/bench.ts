/**
 * `make bench`: directord's relay beside HAProxy (and nginx's stream module, where installed) in front of the same real
 * servers, in the same run, in interleaved rounds, because on a shared machine only ratios of one run mean something.
 * BENCH_ROUNDS (3) and BENCH_SECONDS (4) of each load can be set in the environment.
 */
import { relative } from 'node:path';
import { Lab, skipReason } from '../test/scenario/lab.ts';
import { root, which } from '../test/scenario/lab/paths.ts';
import { idleRound, loadRound } from './measure.ts';
import { iperfPort, startPeers } from './peers.ts';
import { save, table, type Result } from './report.ts';

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3);
const seconds = Number(process.env['BENCH_SECONDS'] ?? 4);
const missing = ['wrk', 'iperf3'].filter((program) => which(program) === undefined);

if (skipReason !== false || missing.length > 0) {
  print(skipReason === false ? `needs ${missing.join(', ')} (make deps)` : skipReason);
  process.exitCode = 1;
} else {
  const lab = await Lab.open();
  try {
    const results = await measure(lab);
    print(`\n${results.map(({ peer, version }) => `${peer}: ${version}`).join('\n')}`);
    print(`medians of ${rounds} interleaved rounds of ${seconds} s\n\n${table(results)}`);
    print(`\nwritten to ${relative(root, save(results, new Date()))}`);
  } finally {
    await lab.close();
  }
}

async function measure(lab: Lab): Promise<readonly Result[]> {
  const peers = await startPeers(lab);
  lab.servers[0]?.host.start(['iperf3', '-s', '-p', String(iperfPort)]);
  const results = peers.map((peer) => ({ peer, samples: [{}] }));
  // Memory first, before a load has filled anybody's pools. As many as HAProxy can hold, whose threads share one limit.
  const idle = Math.min(10_000, Math.floor((lab.openFiles - 1200) / 2));
  print(`memory with ${idle} idle connections`);
  for (const { peer, samples } of results) samples.push(await idleRound(lab, peer, idle));
  for (let round = 1; round <= rounds; round += 1) {
    print(`round ${round} of ${rounds}`);
    for (const { peer, samples } of results) samples.push(await loadRound(lab, peer, seconds));
  }
  return results.map(({ peer, samples }) => ({ peer: peer.name, version: peer.version, samples }));
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
