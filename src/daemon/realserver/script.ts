/** A plan as a shell script that an operator reads, changes, keeps, or pastes. */
import type { Plan } from './plan.ts';
import type { Step } from './step.ts';

const width = 110;

/** @param head what it is for. No `set -e`: pasted into a shell, that would close it. */
export function scriptOf(head: string, { steps, notes }: Plan): string {
  const parts = [
    `#!/bin/sh\n${comment(`${head} Run it as root. What is done already is left alone. Nothing of it survives a reboot.`)}`,
    ...notes.map((note) => comment(`Note: ${note}.`)),
    ...steps.map(paragraph),
  ];
  if (steps.length === 0) parts.push(comment('There is nothing to do.'));
  else parts.push(undoing(steps));
  return parts.join('\n');
}

function paragraph({ about, done, command }: Step): string {
  return `${comment(about)}${done} ||\n  ${command}\n`;
}

function undoing(steps: readonly Step[]): string {
  const lines = steps.toReversed().map((step) => `#   ${step.undo(undefined)}\n`);
  return `# To undo it (a setting goes back to what it was, which is 0 unless you changed it):\n${lines.join('')}`;
}

function comment(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length + 1 > width) lines.push(`# ${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return `${lines.join('\n')}\n`;
}
