/** Medians and ratios of the samples: a table for people, a file for later. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { root } from '../test/scenario/lab/paths.ts';
import type { Aim, Metric, Result } from './comparison.ts';

/** A line a metric: the medians of all peers; below, each as a multiple of every foreign peer's. */
export function table(metrics: Readonly<Record<string, Metric>>, results: readonly Result[]): string {
  const rows = Object.entries(metrics).flatMap(([key, { name, unit, better }]) => {
    const medians = results.map(({ samples }) => median(samples.flatMap((sample) => sample[key] ?? [])));
    const ratios = results.flatMap(({ peer, ours }, i) => {
      const base = medians[i] ?? NaN;
      const multiples = medians.map((value) => value / base);
      return ours || !(base > 0) ? [] : [[`  to ${peer}`, ...multiples.map(formatRatio)]];
    });
    return [[`${name} (${unit}, ${better} is better)`, ...medians.map(format)], ...ratios];
  });
  return columns([['', ...results.map(({ peer }) => peer)], ...rows]);
}

/** A line an aim whose peers are there: what was reached, and whether that is enough. */
export function aimLines(
  aims: readonly Aim[],
  metrics: Readonly<Record<string, Metric>>,
  results: readonly Result[],
): readonly string[] {
  return aims.flatMap(({ metric, peer, to, times, toMetric = metric }) => {
    const reached = medianOf(results, peer, metric) / medianOf(results, to, toMetric);
    if (Number.isNaN(reached)) return [];
    const outcome = reached >= times ? 'reached' : 'missed';
    const name = metrics[metric]?.name ?? metric;
    return [`${name}: ${peer} ${formatRatio(reached)} of ${to}, aim ${times.toFixed(1)}x: ${outcome}`];
  });
}

function medianOf(results: readonly Result[], name: string, metric: string): number {
  const samples = results.find(({ peer }) => peer === name)?.samples ?? [];
  return median(samples.flatMap((sample) => sample[metric] ?? []));
}

/** Cells below each other: the first of each row to the left, all others to the right. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  '),
    )
    .join('\n');
}

/** Writes everything that was measured, with the machine and the commit. @returns the file's path */
export function save(results: unknown, now: Date): string {
  const folder = join(root, 'bench/out');
  mkdirSync(folder, { recursive: true });
  const commit = git('rev-parse', '--short', 'HEAD');
  const file = join(folder, `${now.toISOString().replace(/[:.]/g, '-')}-${commit}.json`);
  const [cpu] = cpus();
  const machine = {
    cpu: cpu?.model ?? 'unknown',
    cores: cpus().length,
    memory: totalmem(),
    kernel: release(),
    node: process.version,
  };
  const dirty = git('status', '--porcelain', '--untracked-files=no') !== '';
  writeFileSync(
    file,
    `${JSON.stringify({ date: now.toISOString(), commit, dirty, machine, results }, null, 2)}\n`,
  );
  return file;
}

function git(...args: readonly string[]): string {
  try {
    return execFileSync('git', args, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

function format(number: number): string {
  if (Number.isNaN(number)) return '-';
  return number < 100 ? number.toFixed(1) : Math.round(number).toLocaleString('en-US');
}

function formatRatio(ratio: number): string {
  return Number.isNaN(ratio) ? '-' : `${ratio.toFixed(2)}x`;
}
