/** What a backslash means in a Perl pattern outside of brackets. */
import { readCode, Refusal, unit } from './perl-regex-code.ts';
import { shorthand } from './perl-regex-class.ts';
import type { Flags } from './perl-regex-flags.ts';

/** @prop length of what was read */
export type Escape = { readonly length: number } & (
  | { readonly text: string }
  | { readonly character: string }
  /** A group by name or number; negative: so many groups back. */
  | { readonly reference: string | number }
);

const endOfText = '(?![\\s\\S])';
const vertical = '[\\n-\\r\\u0085\\u2028\\u2029]';

const texts: ReadonlyMap<string, string> = new Map([
  ['A', '(?<![\\s\\S])'],
  ['b', '\\b'],
  ['B', '\\B'],
  ['N', '[^\\n]'],
  // a pair is never taken apart
  ['R', `(?:\\r\\n|(?!\\r\\n)${vertical})`],
  ['z', endOfText],
  ['Z', `(?=\\n?${endOfText})`],
]);

const unsupported = 'CEFGKLPQUXcglopukx';

/**
 * @param tail from the backslash, or a `(?P=name)`, on
 * @param groups so many were opened before
 * @throws Refusal
 */
export function readEscape(tail: string, groups: number): Escape {
  const letter = tail[1];
  if (letter === undefined) throw new Refusal('there is nothing behind its last backslash');
  const reference = readReference(tail, groups);
  if (reference !== undefined) return reference;
  const coded = readCode(tail);
  if (coded !== undefined) return { character: String.fromCharCode(coded.code), length: coded.length };
  // quantified, as in \N{3}, it is no name
  if (/^\\(?:[bB]\{|N\{(?![ \t\d,]*\}))/.test(tail)) throw Refusal.of(tail.slice(0, 3));
  if (unsupported.includes(letter)) throw Refusal.of(`\\${letter}`);
  const text = texts.get(letter) ?? shorthand(letter);
  if (text !== undefined) return { text, length: 2 };
  const character = String.fromCodePoint(tail.codePointAt(1) ?? 0);
  return { character, length: 1 + character.length };
}

function readReference(tail: string, groups: number): Escape | undefined {
  const [name, number] = [
    /^(?:\\k(?:\{ *(\w+) *\}|'(\w+)'|<(\w+)>)|\\g\{ *([A-Za-z_]\w*) *\}|\(\?P=(\w+)\))/.exec(tail),
    /^\\g(?:(-?\d+)|\{ *(-?\d+) *\})/.exec(tail),
  ];
  if (name !== null) return { reference: name.slice(1).find(Boolean) ?? '', length: name[0].length };
  if (number !== null) return { reference: Number(number[1] ?? number[2]), length: number[0].length };
  const digits = /^\\([1-9]\d*)/.exec(tail)?.[1];
  if (digits === undefined) return undefined;
  // from ten on, and without so many groups, it may be a code
  if (digits.length > 1 && Number(digits) > groups) throw Refusal.of(`\\${digits}`);
  return { reference: Number(digits), length: digits.length + 1 };
}

/** A character that stands for itself. */
export function plainCharacter(character: string, flags: Flags): string {
  if (flags.i && /^[A-Za-z]$/.test(character))
    return `[${character.toUpperCase()}${character.toLowerCase()}]`;
  const units = Array.from({ length: character.length }, (_, i) => unit(character.charCodeAt(i)));
  return units.length === 1 ? (units[0] ?? '') : `(?:${units.join('')})`;
}
