/**
 * `make bench`: directord's engines beside HAProxy, nginx's stream module and the kernel's own NAT, in the same run and in
 * interleaved rounds, because on a shared machine only ratios of one run mean something. `make bench PARTS="web bulk"`
 * runs only these parts. BENCH_ROUNDS (3) and BENCH_SECONDS (4) of each load can be set in the environment.
 */
import { relative } from 'node:path';
import { skipReason } from '../test/scenario/lab.ts';
import { root, which } from '../test/scenario/lab/paths.ts';
import { admin } from './admin.ts';
import { bulk } from './bulk.ts';
import { compare, type Comparison, type Result } from './comparison.ts';
import { idle } from './idle.ts';
import { latency } from './latency.ts';
import { listing } from './listing.ts';
import { packetRate } from './packet-rate.ts';
import { aimLines, save, table } from './report.ts';
import { runAlone } from './run-alone.ts';
import { web } from './web.ts';

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3);
const seconds = Number(process.env['BENCH_SECONDS'] ?? 4);
const short = Math.max(1, Math.ceil(seconds / 2));
const measured: Record<string, readonly Result[]> = {};

/** @returns text */
const parts: Readonly<Record<string, () => Promise<string>>> = {
  web: () => comparison(web(seconds)),
  bulk: () => comparison(bulk('on', short)),
  'bulk-cut': () => comparison(bulk('off', short)),
  packets: () => comparison(packetRate(short)),
  latency: () => comparison(latency(short)),
  memory: () => comparison(idle()),
  million: () => runAlone('million'),
  table: () => runAlone('connections'),
  listing: () => listing(1_000_000, print),
  admin: async () => `${await admin(rounds, 'packet')}\n\n${await admin(rounds, 'relay')}`,
};

const asked = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(parts);
const unknown = asked.filter((name) => !Object.hasOwn(parts, name));
const missing = ['wrk', 'iperf3', 'nft', 'taskset'].filter((program) => which(program) === undefined);

if (unknown.length > 0) fail(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`);
else if (skipReason !== false) fail(skipReason);
else if (missing.length > 0) fail(`needs ${missing.join(', ')} (make deps)`);
else {
  for (const name of asked) print(`\n${(await parts[name]?.()) ?? ''}\n`);
  if (Object.keys(measured).length > 0) print(`written to ${relative(root, save(measured, new Date()))}`);
}

async function comparison(what: Comparison): Promise<string> {
  const results = await compare(what, rounds, print);
  measured[what.title] = results;
  const versions = results.map(({ peer, version }) => `${peer} (${version})`).join(', ');
  const title = `${what.title}; medians of ${rounds} interleaved rounds\n${versions}`;
  return [title, table(what.metrics, results), ...aimLines(what.aims ?? [], what.metrics, results)].join(
    '\n',
  );
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(why: string): void {
  print(why);
  process.exitCode = 1;
}
