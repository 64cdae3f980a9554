/** `make stories`: a line for each kind of story, who told it, and whether the packet engine does the same. */
import { isDeepStrictEqual } from 'node:util';
import { beginning, tell } from '../support/story-runner.ts';
import { createSubject } from '../support/story-subject.ts';
import type { Story } from '../support/story.ts';
import { readStories } from '../support/story.ts';

interface Row {
  stories: number;
  kernel: number;
  equal: number;
}

const rows = new Map<string, Row>();
const byHand: string[] = [];
const different: string[] = [];
for (const story of readStories()) {
  const row = rows.get(kindOf(story)) ?? { stories: 0, kernel: 0, equal: 0 };
  rows.set(kindOf(story), row);
  row.stories += 1;
  if (toldByKernel(story)) row.kernel += 1;
  else byHand.push(`${story.name}: ${story.source.replace('by hand: ', '')}`);
  if (await isEqual(story)) row.equal += 1;
  else different.push(story.name);
}

print('stories', 'all', 'kernel', 'equal');
for (const [kind, { stories, kernel, equal }] of rows) print(kind, stories, kernel, equal);
process.stdout.write(`\nNot told by the kernel (${byHand.length}):\n${byHand.join('\n')}\n`);
process.stdout.write(`\nDifferent (${different.length}): ${different.join(' ') || 'none'}\n`);
process.exitCode = different.length === 0 ? 0 : 1;

function print(kind: string, ...columns: readonly (string | number)[]): void {
  process.stdout.write(`${kind.padEnd(24)}${columns.map((column) => String(column).padStart(8)).join('')}\n`);
}

/** The first word of its name, and of names by hand the third: `masq`, `persistence`. */
function kindOf({ name }: Story): string {
  return /^(?:by-hand-)?([a-z]+)/.exec(name)?.[1] ?? name;
}

function toldByKernel({ source }: Story): boolean {
  return source.startsWith('Linux');
}

async function isEqual(story: Story): Promise<boolean> {
  const outcomes = await tell(story, await createSubject(story, beginning));
  return outcomes.every(({ wanted, found }) => isDeepStrictEqual(wanted, found));
}
