/** Bracketed character classes of Perl, with POSIX names such as `[:alpha:]`, as JavaScript ones. */
import type { Problem } from './diagnostic.ts';

/** Pairs of first and last ASCII character, ascending. */
const posix: ReadonlyMap<string, string> = new Map([
  ['alnum', '09AZaz'],
  ['alpha', 'AZaz'],
  ['ascii', '\x00\x7f'],
  ['blank', '\t\t  '],
  ['cntrl', '\x00\x1f\x7f\x7f'],
  ['digit', '09'],
  ['graph', '!~'],
  ['lower', 'az'],
  ['print', ' ~'],
  ['punct', '!/:@[`{~'],
  ['space', '\t\r  '],
  ['upper', 'AZ'],
  ['word', '09AZ__az'],
  ['xdigit', '09AFaf'],
]);

type Range = readonly [low: number, high: number];

const escapes: ReadonlyMap<string, string> = new Map([
  ['h', ' \\t\\u00a0'],
  ['v', '\\n-\\r\\u0085\\u2028\\u2029'],
  ['e', '\\x1b'],
  ['a', '\\x07'],
]);

const unsupportedEscapes = 'ABCEFGHKLNPQRUVXZgklopuz';

/** The class that starts at `start`, and where it ends. */
export function readClass(
  pattern: string,
  start: number,
  unsupported: (construct: string) => Problem,
): { text: string; next: number } | Problem {
  const negated = pattern[start + 1] === '^';
  let text = negated ? '[^' : '[';
  let next = start + text.length;
  const first = next;
  while (next < pattern.length) {
    const tail = pattern.slice(next);
    const character = tail[0] ?? '';
    if (character === ']' && next > first) return { text: `${text}]`, next: next + 1 };
    const piece = readPosix(tail) ?? readEscape(tail) ?? { text: plain(character), length: 1 };
    if (piece.text === undefined) return unsupported(tail.slice(0, piece.length));
    text += piece.text;
    next += piece.length;
  }
  return unsupported('[ without ]');
}

/** `text` undefined: not supported. */
interface Piece {
  readonly text: string | undefined;
  readonly length: number;
}

function readPosix(tail: string): Piece | undefined {
  const match = /^\[:(\^?)(\w+):\]/.exec(tail);
  if (match === null) return undefined;
  const [whole, not = '', name = ''] = match;
  const pairs = posix.get(name);
  if (pairs === undefined) return { text: undefined, length: whole.length };
  const ranges = rangesOf(pairs);
  return { text: (not === '' ? ranges : complement(ranges)).map(range).join(''), length: whole.length };
}

function readEscape(tail: string): Piece | undefined {
  if (!tail.startsWith('\\')) return undefined;
  const hex = /^\\x(?:\{ *([0-9a-fA-F]{1,4}) *\}|([0-9a-fA-F]{1,2}))/.exec(tail);
  if (hex !== null)
    return { text: unit(Number.parseInt(hex[1] ?? hex[2] ?? '0', 16)), length: hex[0].length };
  const letter = tail[1] ?? '';
  if (letter === '' || unsupportedEscapes.includes(letter)) return { text: undefined, length: 2 };
  return { text: escapes.get(letter) ?? `\\${letter}`, length: 2 };
}

/** A `]` that comes first and every `[` mean themselves. */
function plain(character: string): string {
  return character === '[' || character === ']' ? `\\${character}` : character;
}

function rangesOf(pairs: string): Range[] {
  return Array.from({ length: pairs.length / 2 }, (_, i) => [
    pairs.charCodeAt(2 * i),
    pairs.charCodeAt(2 * i + 1),
  ]);
}

function complement(ranges: readonly Range[]): Range[] {
  const gaps: Range[] = [];
  let from = 0;
  for (const [low, high] of ranges) {
    if (low > from) gaps.push([from, low - 1]);
    from = high + 1;
  }
  gaps.push([from, 0xffff]);
  return gaps;
}

function range([low, high]: Range): string {
  return low === high ? unit(low) : `${unit(low)}-${unit(high)}`;
}

function unit(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`;
}
