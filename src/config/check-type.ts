/** `checktype=`: a word, or anything with a number N in it for "N connects between two negotiates". */
import { Problem } from './diagnostic.ts';
import type { CheckType } from './model.ts';

const words: readonly CheckType[] = [
  'connect',
  'negotiate',
  'on',
  'off',
  'ping',
  'external',
  'external-perl',
];

export function parseCheckType(text: string): { type: CheckType; connects: number } | Problem {
  const digits = /\d+/.exec(text)?.[0];
  if (digits !== undefined) return { type: 'combined', connects: Number(digits) };
  const word = /[\w-]+/.exec(text)?.[0];
  const type = words.find((known) => known === word);
  if (type !== undefined) return { type, connects: 0 };
  return new Problem(
    `checktype must be ${words.map((known) => `"${known}"`).join(', ')} or a positive number`,
    'one of these, in lower case',
  );
}
