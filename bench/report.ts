/** Medians and ratios of the samples: a table for people, a file for later. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { root } from '../test/scenario/lab/paths.ts';
import { metrics, type Metric, type Sample } from './measure.ts';

export interface Result {
  readonly peer: string;
  readonly version: string;
  readonly samples: readonly Sample[];
}

/** One line a metric: medians, and the first peer's as a ratio of each other's. */
export function table(results: readonly Result[]): string {
  const [ours, ...others] = results;
  if (ours === undefined) return '';
  const heads = [...results.map(({ peer }) => peer), ...others.map(({ peer }) => `ratio to ${peer}`)];
  const rows = Object.entries<Metric>(metrics).map(([key, { name, unit, better }]) => {
    const medians = results.map(({ samples }) => median(values(samples, key)));
    const ratios = medians.slice(1).map((other) => `${((medians[0] ?? NaN) / other).toFixed(2)}x`);
    return [`${name} (${unit}, ${better} is better)`, ...medians.map(format), ...ratios];
  });
  const all = [['', ...heads], ...rows];
  const widths = ['', ...heads].map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  '),
    )
    .join('\n');
}

/** Writes everything that was measured, with the machine and the commit. @returns the file's path */
export function save(results: readonly Result[], now: Date): string {
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

function values(samples: readonly Sample[], key: string): readonly number[] {
  return samples.flatMap((sample) => sample[key] ?? []);
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

function format(number: number): string {
  return number < 100 ? number.toFixed(1) : Math.round(number).toLocaleString('en-US');
}
