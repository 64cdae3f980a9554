/** Bracketed character classes of Perl, with POSIX names such as `[:alpha:]`, as JavaScript ones. */
import { readCode, Refusal, unit } from './perl-regex-code.ts';

type Range = readonly [low: number, high: number];

const last = 0xffff;

/** Pairs of first and last ASCII character, ascending. */
const posix: ReadonlyMap<string, readonly Range[]> = new Map([
  ['alnum', ranges('09AZaz')],
  ['alpha', ranges('AZaz')],
  ['ascii', ranges('\x00\x7f')],
  ['blank', ranges('\t\t  ')],
  ['cntrl', ranges('\x00\x1f\x7f\x7f')],
  ['digit', ranges('09')],
  ['graph', ranges('!~')],
  ['lower', ranges('az')],
  ['print', ranges(' ~')],
  ['punct', ranges('!/:@[`{~')],
  ['space', ranges('\t\r  ')],
  ['upper', ranges('AZ')],
  ['word', ranges('09AZ__az')],
  ['xdigit', ranges('09AFaf')],
]);

const [horizontal, vertical] = [ranges('\t\t  \u00a0\u00a0'), ranges('\n\r\u0085\u0085\u2028\u2029')];

const escapes: ReadonlyMap<string, readonly Range[]> = new Map([
  ['d', ranges('09')],
  ['w', ranges('09AZ__az')],
  ['s', ranges('\t\r  ')],
  ['h', horizontal],
  ['v', vertical],
]);

/** What one element of a class stands for; a range can begin and end only at a single character. */
interface Element {
  readonly ranges: readonly Range[];
  readonly length: number;
  readonly single: boolean;
}

/**
 * The class that starts at `start`, and where it ends.
 * @throws Refusal
 */
export function readClass(
  pattern: string,
  start: number,
  ignoreCase: boolean,
): { readonly text: string; readonly next: number } {
  const negated = pattern[start + 1] === '^';
  const first = start + (negated ? 2 : 1);
  const found: Range[] = [];
  let next = first;
  // a ] that comes first means itself
  while (pattern[next] !== ']' || next === first) {
    const element = readElement(pattern.slice(next));
    next += element.length;
    const to = element.single && /^-[^\]]/.test(pattern.slice(next)) && readElement(pattern.slice(next + 1));
    if (to === false || !to.single) {
      found.push(...element.ranges);
      continue;
    }
    const range = [element.ranges[0]?.[0] ?? 0, to.ranges[0]?.[0] ?? 0] as const;
    if (range[0] > range[1]) throw new Refusal(`a range in [ ] ends before it begins`);
    found.push(range);
    next += 1 + to.length;
  }
  const members = ignoreCase ? [...found, ...found.flatMap(otherCase)] : found;
  return { text: `[${negated ? '^' : ''}${members.map(written).join('')}]`, next: next + 1 };
}

/** `\d` and its like outside of brackets; undefined when the letter is none of them. */
export function shorthand(letter: string): string | undefined {
  const found = classOf(letter);
  return found && `[${found.map(written).join('')}]`;
}

function classOf(letter: string): readonly Range[] | undefined {
  const found = escapes.get(letter.toLowerCase());
  return found === undefined || letter === letter.toLowerCase() ? found : complement(found);
}

function readElement(tail: string): Element {
  if (tail === '') throw new Refusal('"[ without ]" is not supported');
  if (/^\[[:.=]/.test(tail)) {
    const name = readPosix(tail);
    if (name !== undefined) return name;
  }
  if (!tail.startsWith('\\')) return literal(tail);
  const coded = readCode(tail) ?? octal(tail);
  if (coded !== undefined) return { ...coded, ranges: [[coded.code, coded.code]], single: true };
  const letter = tail[1] ?? '';
  const found = classOf(letter);
  if (found !== undefined) return { ranges: found, length: 2, single: false };
  if (letter === 'b') return { ranges: [[8, 8]], length: 2, single: true };
  if (/^[A-Za-z]?$/.test(letter)) throw Refusal.of(`\\${letter}`);
  const escaped = literal(tail.slice(1));
  return { ...escaped, length: escaped.length + 1 };
}

function literal(tail: string): Element {
  const code = tail.codePointAt(0) ?? 0;
  if (code > last) throw Refusal.of(`${String.fromCodePoint(code)} in [ ]`);
  return { ranges: [[code, code]], length: 1, single: true };
}

/** In brackets there are no references: `\1` is a code. */
function octal(tail: string): { code: number; length: number } | undefined {
  const digits = /^\\([1-7][0-7]{0,2})/.exec(tail)?.[1];
  if (digits === undefined) return undefined;
  const code = Number.parseInt(digits, 8);
  if (code > 0x7f) throw Refusal.of(`\\${digits}`);
  return { code, length: digits.length + 1 };
}

/** Undefined: the bracket means itself, as in `[[:]`. */
function readPosix(tail: string): Element | undefined {
  const match = /^\[([:.=])(\^?)(\w*)\1\]/.exec(tail);
  if (match === null) return undefined;
  const [whole, , not, name = ''] = match;
  const found = posix.get(name);
  if (found === undefined || !whole.startsWith('[:')) throw Refusal.of(whole);
  return { ranges: not === '' ? found : complement(found), length: whole.length, single: false };
}

/** ASCII only: Perl's bytes have no other letters. */
function otherCase([low, high]: Range): Range[] {
  const moved = (first: string, end: string, by: number): Range[] => {
    const [from, to] = [Math.max(low, first.charCodeAt(0)), Math.min(high, end.charCodeAt(0))];
    return from > to ? [] : [[from + by, to + by]];
  };
  return [...moved('a', 'z', -32), ...moved('A', 'Z', 32)];
}

function ranges(pairs: string): Range[] {
  return Array.from({ length: pairs.length / 2 }, (_, i) => [
    pairs.charCodeAt(2 * i),
    pairs.charCodeAt(2 * i + 1),
  ]);
}

function complement(found: readonly Range[]): Range[] {
  const gaps: Range[] = [];
  let from = 0;
  for (const [low, high] of found) {
    if (low > from) gaps.push([from, low - 1]);
    from = high + 1;
  }
  gaps.push([from, last]);
  return gaps;
}

function written([low, high]: Range): string {
  return low === high ? inBrackets(low) : `${inBrackets(low)}-${inBrackets(high)}`;
}

function inBrackets(code: number): string {
  return code === 0x2d ? '\\-' : unit(code);
}
