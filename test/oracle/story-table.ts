/** `make stories`: a line for each kind of story, who told it, and which engines do the same. The ebpf engine's programs need root. */
import { isDeepStrictEqual } from 'node:util';
import { noObject } from '../support/ebpf-director-supply.ts';
import { skip } from '../support/ebpf-place.ts';
import { EbpfStories } from '../support/ebpf-story-subject.ts';
import { beginning, tell } from '../support/story-runner.ts';
import type { Subject } from '../support/story-subject.ts';
import { createSubject } from '../support/story-subject.ts';
import type { Story } from '../support/story.ts';
import { readStories } from '../support/story.ts';

interface Teller {
  readonly name: string;
  readonly subject: (story: Story) => Promise<Subject>;
  readonly different: string[];
}

const notHere = skip || noObject;
const ebpf = notHere === false ? new EbpfStories() : undefined;
const tellers: readonly Teller[] = [
  { name: 'packet', subject: (story) => createSubject(story, beginning), different: [] },
  ...(ebpf === undefined
    ? []
    : (['xdp', 'tc'] as const).map((kind) => ({
        name: `ebpf ${kind}`,
        subject: (story: Story) => ebpf.subject(story, kind, beginning),
        different: [],
      }))),
];

/** By kind of story: how many there are, how many the kernel told, how many each teller tells as it should be. */
const rows = new Map<string, number[]>();
const byHand: string[] = [];
const stories = readStories();
for (const story of stories) {
  if (!toldByKernel(story)) byHand.push(`${story.name}: ${story.source.replace('by hand: ', '')}`);
  const equal: boolean[] = [];
  for (const teller of tellers) {
    equal.push(await isEqual(story, teller));
    if (equal.at(-1) === false) teller.different.push(story.name);
  }
  const columns = [true, toldByKernel(story), ...equal].map(Number);
  for (const name of [kindOf(story), 'all']) {
    const row = rows.get(name);
    rows.set(
      name,
      columns.map((column, i) => column + (row?.[i] ?? 0)),
    );
  }
}
ebpf?.close();

const all = rows.get('all') ?? [];
rows.delete('all');
print('stories', 'all', 'kernel', ...tellers.map(({ name }) => name));
for (const [kind, columns] of rows) print(kind, ...columns);
print('all', ...all);
process.stdout.write(`\nNot told by the kernel (${byHand.length}):\n${byHand.join('\n')}\n`);
if (notHere !== false) process.stdout.write(`\nThe ebpf engine was not asked: ${notHere}\n`);
for (const { name, different } of tellers)
  process.stdout.write(`\nDifferent, ${name} (${different.length}): ${different.join(' ') || 'none'}\n`);
process.exitCode = tellers.every(({ different }) => different.length === 0) ? 0 : 1;

function print(kind: string, ...columns: readonly (string | number)[]): void {
  process.stdout.write(
    `${kind.padEnd(24)}${columns.map((column) => String(column).padStart(10)).join('')}\n`,
  );
}

/** The first word of its name, and of names by hand the third: `masq`, `persistence`. */
function kindOf({ name }: Story): string {
  return /^(?:by-hand-)?([a-z]+)/.exec(name)?.[1] ?? name;
}

function toldByKernel({ source }: Story): boolean {
  return source.startsWith('Linux');
}

async function isEqual(story: Story, { subject }: Teller): Promise<boolean> {
  try {
    const outcomes = await tell(story, await subject(story));
    return outcomes.every(({ wanted, found }) => isDeepStrictEqual(wanted, found));
  } catch (error) {
    process.stdout.write(`${story.name}: ${String(error)}\n`);
    return false;
  }
}
