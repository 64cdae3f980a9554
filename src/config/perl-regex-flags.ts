/** Switches of Perl patterns, `(?i)`, and what comes behind a thing to say how often. */
import { Refusal } from './perl-regex-code.ts';

export interface Flags {
  readonly i: boolean;
  readonly s: boolean;
  readonly m: boolean;
  readonly x: boolean;
  readonly n: boolean;
}

export const noFlags: Flags = { i: false, s: false, m: false, x: false, n: false };

/**
 * @param letters `i`, `is-m`, `^x`. Only `a` and `d`, which say what bytes are like anyway, and `p` change nothing.
 * @throws Refusal
 */
export function changed(flags: Flags, letters: string): Flags {
  let now = letters.startsWith('^') ? noFlags : flags;
  let on = true;
  for (const letter of letters.replace(/^\^/, '')) {
    if (letter === '-' && on) on = false;
    else if (letter === 'i' || letter === 's' || letter === 'm' || letter === 'x' || letter === 'n')
      now = { ...now, [letter]: on };
    else if (!(on && 'adp'.includes(letter))) throw Refusal.of(`(?${letters})`);
  }
  if (/xx/.test(letters)) throw Refusal.of(`(?${letters})`);
  return now;
}

export interface Quantifier {
  /** As JavaScript writes it. */
  readonly text: string;
  /** How much of the pattern it takes. */
  readonly length: number;
  readonly least: number;
  readonly most: number;
}

const signs: ReadonlyMap<string, readonly [least: number, most: number]> = new Map([
  ['*', [0, Infinity]],
  ['+', [1, Infinity]],
  ['?', [0, 1]],
]);

/** Undefined: what is there means itself. */
export function readQuantifier(tail: string): Quantifier | undefined {
  const sign = tail[0] ?? '';
  const range = signs.get(sign);
  if (range !== undefined) return { text: sign, length: 1, least: range[0], most: range[1] };
  const braces = /^\{[ \t]*(\d*)[ \t]*(?:(,)[ \t]*(\d*)[ \t]*)?\}/.exec(tail);
  const [whole = '', from = '', comma, to = ''] = braces ?? [];
  if (from === '' && to === '') return undefined;
  const least = Number(from);
  const most = comma === undefined ? least : to === '' ? Infinity : Number(to);
  return { text: `{${least}${comma ?? ''}${to}}`, length: whole.length, least, most };
}
