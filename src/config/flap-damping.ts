/** `flapdamping = N/SECONDS` or `no`: a directive of our own. */
import { Problem } from './diagnostic.ts';
import type { FlapDamping } from './model.ts';

/** One change is any outage at all, so damping needs two. */
const fewestChanges = 2;

export function parseFlapDamping(text: string): FlapDamping | 'no' | Problem {
  if (text === 'no') return text;
  const [, changes, seconds] = (/^(\d{1,9})\s*\/\s*(\d{1,9})$/.exec(text) ?? []).map(Number);
  if (changes !== undefined && seconds !== undefined && changes >= fewestChanges && seconds > 0)
    return { changes, seconds };
  return new Problem('invalid flap damping', 'CHANGES/SECONDS, such as 4/60, from 2/1 on, or no');
}
