/**
 * `make bench-monitor`: what it costs the daemon to watch 2,000 real servers at `checkinterval=5`, of http with a regular expression,
 * connect and simpletcp checks, and how punctual it is; seen from outside. DIRECTORD_MONITOR_SECONDS (600) and
 * DIRECTORD_MONITOR_SERVERS (2000) can be set in the environment.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../test/scenario/lab.ts';
import { directord } from '../test/scenario/lab/paths.ts';
import { textOf } from '../test/scenario/lab/processes.ts';
import type { Program } from '../test/scenario/lab/program.ts';
import { Place } from '../test/scenario/checks/place.ts';
import type { Asked } from './monitor-servers.ts';
import { columns } from './report.ts';
import { machineSeconds, megabytesOf, processSeconds } from './usage.ts';

const seconds = Number(process.env['DIRECTORD_MONITOR_SECONDS'] ?? 600);
const count = Number(process.env['DIRECTORD_MONITOR_SERVERS'] ?? 2000);
const perVirtual = 100;
const interval = 5;
/** The first round opens everything at once; what is said of a steady state begins behind it. */
const settling = 4 * interval;

interface Sample {
  /** Seconds since the measurement began. */
  readonly at: number;
  readonly descriptors: number;
  readonly megabytes: number;
}

const place = new Place();
try {
  await measure();
} finally {
  await place.close();
}

async function measure(): Promise<void> {
  const ports = [await place.freePort(), await place.freePort(), await place.freePort()] as const;
  const program = fileURLToPath(new URL('./monitor-servers.js', import.meta.url));
  const [port] = ports;
  const servers = await place.serve([process.execPath, program, ...[interval, ...ports].map(String)], port);
  const config = place.write('ld.cf', configuration(ports));
  const own = [`DIRECTORD_CONTROL=${place.directory}/control.sock`, `DIRECTORD_RUN_DIR=${place.directory}`];
  const profile = process.env['DIRECTORD_MONITOR_PROFILE'];
  const node = profile === undefined ? [] : [process.execPath, '--cpu-prof', `--cpu-prof-dir=${profile}`];
  const begun = performance.now();
  const daemon = place.start(['env', ...own, ...node, directord, '-f', '--engine', 'relay', config, 'start']);
  const log = (): string => textOf(`${place.directory}/log`);
  await waitFor(
    'every server to be up',
    60,
    () => count === matches(log(), /Added real server/g),
    () => `${daemon.stdout}${daemon.stderr}`,
  );
  const allUp = performance.now() - begun;
  print(`${count} servers up ${(allUp / 1000).toFixed(1)} s after the start; now ${seconds} s of watching`);

  servers.write('begin\n');
  const before = processSeconds(daemon.pid);
  const machineBefore = machineSeconds();
  const samples = await watch(daemon);
  const cpu = processSeconds(daemon.pid) - before;
  const machine = machineSeconds() - machineBefore;
  const failures = matches(log(), /Deleted real server|Soft failure/g);
  servers.end();
  const asked = JSON.parse((await servers.exited).stdout) as Asked;
  await daemon.stop();
  print(report(asked, samples, { cpu, machine, failures }));
}

/** @returns samples of the steady state */
async function watch(daemon: Program): Promise<readonly Sample[]> {
  const begun = performance.now();
  const samples: Sample[] = [];
  for (let at = 0; at < seconds; at = (performance.now() - begun) / 1000) {
    const descriptors = readdirSync(`/proc/${daemon.pid}/fd`).length;
    samples.push({ at, descriptors, megabytes: megabytesOf(daemon.pid) });
    await pause(250);
  }
  return samples.filter(({ at }) => at > Math.min(settling, seconds / 2));
}

/** CPU in seconds. */
interface Totals {
  readonly cpu: number;
  readonly machine: number;
  readonly failures: number;
}

function report(
  { asks, lateness }: Asked,
  steady: readonly Sample[],
  { cpu, machine, failures }: Totals,
): string {
  const quantile = (share: number): string =>
    (lateness[Math.min(lateness.length - 1, Math.floor(share * lateness.length))] ?? NaN).toFixed(1);
  const cores = availableParallelism();
  const most = (of: (sample: Sample) => number): string => Math.max(...steady.map(of)).toFixed(0);
  const slope = (of: (sample: Sample) => number): string => (slopeOf(steady, of) * 60).toFixed(2);
  const share = (100 * cpu) / seconds;
  return columns([
    [`${count} real servers, checkinterval ${interval} s, for ${seconds} s`, 'value', 'unit'],
    ['checks', (asks / seconds).toFixed(0), 'a second'],
    ['checks that failed', String(failures), ''],
    ['CPU of the daemon', share.toFixed(1), '% of a core'],
    [`CPU of the daemon, of ${cores} cores`, (share / cores).toFixed(1), '%'],
    ['CPU of this machine, whoever uses it', ((100 * machine) / seconds / cores).toFixed(1), '%'],
    ['CPU a check', ((1000 * cpu) / asks).toFixed(2), 'ms'],
    ['lateness, median', quantile(0.5), 'ms'],
    ['lateness, 99 %', quantile(0.99), 'ms'],
    ['lateness, worst', quantile(1), 'ms'],
    ['memory, most', most(({ megabytes }) => megabytes), 'MB'],
    ['memory, trend', slope(({ megabytes }) => megabytes), 'MB a minute'],
    ['descriptors, most', most(({ descriptors }) => descriptors), ''],
    ['descriptors, trend', slope(({ descriptors }) => descriptors), 'a minute'],
  ]);
}

/** Least squares, a second. */
function slopeOf(samples: readonly Sample[], of: (sample: Sample) => number): number {
  const mean = (value: (sample: Sample) => number): number =>
    samples.reduce((sum, sample) => sum + value(sample), 0) / samples.length;
  const [time, level] = [mean(({ at }) => at), mean(of)];
  const spread = mean(({ at }) => (at - time) ** 2);
  return mean((sample) => (sample.at - time) * (of(sample) - level)) / spread;
}

function configuration([http, connect, line]: readonly [number, number, number]): string {
  const kinds = [
    ['service=http', 'request="status.html"', 'receive="Status: all (\\d+) of \\1 parts"'],
    ['checktype=connect', 'service=none'],
    ['service=simpletcp', 'request="status\\n"', 'receive="^2\\d\\d .*well"'],
  ];
  const sections = Array.from({ length: Math.ceil(count / perVirtual) }, (_, v) => {
    const kind = v % kinds.length;
    const port = [http, connect, line][kind] ?? 0;
    const reals = Array.from({ length: Math.min(perVirtual, count - v * perVirtual) }, (_, i) => [
      `real=127.1.${v}.${i + 1}:${port} masq`,
    ]);
    const lines = [...reals.flat(), 'scheduler=rr', 'protocol=tcp', ...(kinds[kind] ?? [])];
    return [`virtual=127.2.${v}.1:8000`, ...lines.map((text) => `    ${text}`)].join('\n');
  });
  const global = `checktimeout=3\nnegotiatetimeout=5\ncheckinterval=${interval}\nautoreload=no\nquiescent=no\nlogfile="${place.directory}/log"\n`;
  return `${global}\n${sections.join('\n\n')}\n`;
}

function matches(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
