/**
 * `make oracle`: tells every story of `scripts.ts` to a real kernel, in User-Mode Linux, and writes down in test/stories what
 * it did. With names (or beginnings of names) as arguments only those. Runs in the project's folder.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { encode } from '../support/packet-encode.ts';
import type { Step, Story } from '../support/story.ts';
import type { Script } from './place.ts';
import { scripts } from './scripts.ts';
import { type StepAnswer, told } from './told.ts';

interface Answer {
  readonly results?: readonly StepAnswer[];
  readonly error?: string;
  /** Seconds that the steps took besides their waits. */
  readonly slack?: number;
}

/** Seconds: two for each story, and some to boot. */
const patience = 60 + scripts.length * 4;

const stories = 'test/stories';
const wanted = process.argv.slice(2);
/** Where the kernel is not the teller: the story was written by hand, and says why. */
const byHand = (name: string): boolean => existsSync(join(stories, `by-hand-${name}.json`));
const chosen = scripts.filter(
  ({ name }) => !byHand(name) && (wanted.length === 0 || wanted.some((word) => name.startsWith(word))),
);
const folder = mkdtempSync(join(tmpdir(), 'directord-oracle-'));
try {
  writeFileSync(join(folder, 'asked.json'), JSON.stringify(chosen.map(asked)));
  const console = execFileSync('test/oracle/boot', [folder, String(patience)]);
  writeFileSync(join(folder, 'console'), console);
  const recorded = JSON.parse(readFileSync(join(folder, 'recorded.json'), 'utf8')) as {
    readonly kernel: string;
    readonly answers: Readonly<Record<string, Answer>>;
  };
  let failed = 0;
  for (const script of chosen) {
    try {
      await write(story(script, results(recorded.answers[script.name]), recorded.kernel));
    } catch (error) {
      failed += 1;
      process.stderr.write(`${script.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  process.stdout.write(`${chosen.length - failed} stories recorded, ${failed} not\n`);
  process.exitCode = failed === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}

function results(answer: Answer | undefined): readonly StepAnswer[] {
  if (answer?.results === undefined) throw new Error(answer?.error ?? 'no answer');
  const { slack = 0, results } = answer;
  if (slack >= 0.9) throw new Error(`its steps took ${slack} s: the machine is too busy`);
  return results;
}

/** A script as record.py wants it. */
function asked(script: Script): object {
  const before = [
    { sysctl: script.sysctl ?? {} },
    ...(script.mtu === undefined ? [] : [{ run: `ip link set back mtu ${script.mtu}` }]),
    ...(script.iptables ?? []).map((rule) => ({ run: `iptables-legacy ${rule}` })),
    ...(script.ip6tables ?? []).map((rule) => ({ run: `ip6tables-legacy ${rule}` })),
    ...script.table.map((line) => ({ ipvsadm: line })),
  ];
  return { name: script.name, before, steps: script.steps.map(askedStep) };
}

function askedStep(step: Step): object {
  if ('in' in step) {
    const packet = Buffer.from(encode(step.in.packet)).toString('hex');
    return { in: { side: step.in.side, packet } };
  }
  if ('connections' in step) return { connections: true };
  if ('listing' in step) return { listing: '' };
  if ('stats' in step) return { listing: '--stats' };
  if ('persistent' in step) return { listing: '--persistent-conn' };
  return step;
}

function story(script: Script, results: readonly StepAnswer[], kernel: string): Story {
  const { name, about, steps, ...rest } = script;
  const source = `Linux ${kernel} IPVS in User-Mode Linux`;
  return { name, about, source, ...rest, steps: steps.map((step, i) => told(step, results[i] ?? [])) };
}

async function write(story: Story): Promise<void> {
  const file = join(stories, `${story.name}.json`);
  const options = await resolveConfig(file);
  writeFileSync(file, await format(layout(story), { ...options, parser: 'json', printWidth: 200 }));
}

/** JSON with a line a step where it fits: prettier keeps what is on one line on one line. */
function layout(story: Story): string {
  const { steps, ...rest } = story;
  const head = Object.entries(rest).map(
    ([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  );
  return `{\n${head.join(',\n')},\n"steps": [\n${steps.map((step) => JSON.stringify(step)).join(',\n')}\n]}`;
}
