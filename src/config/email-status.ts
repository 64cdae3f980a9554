/** `emailalertstatus=`: in which states of the daemon changes are mailed. */
import { Problem } from './diagnostic.ts';
import type { EmailState } from './model.ts';

export const emailStates: readonly EmailState[] = ['starting', 'running', 'stopping', 'reloading'];

const expected = `all, none, or some of ${emailStates.join(', ')}, with commas between`;

export function parseEmailStatus(text: string): ReadonlySet<EmailState> | Problem {
  const words = text.split(/[ \t\r\f\v]*,[ \t\r\f\v]*/);
  while (words.at(-1) === '') words.pop();
  const states = new Set<EmailState>();
  for (const word of words) {
    const state = emailStates.find((known) => known === word);
    if (state !== undefined) states.add(state);
    else if (word === 'all') for (const each of emailStates) states.add(each);
    else if (word !== 'none') return new Problem(`invalid email alert status at: "${word}"`, expected);
  }
  const other = words.find((word) => word !== 'none');
  if (words.includes('none') && other !== undefined) {
    return new Problem(
      `invalid email alert status: "${other}" specified with "none"`,
      '"none" alone, or the states without it',
    );
  }
  return states;
}
