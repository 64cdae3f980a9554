/**
 * Perl regular expressions of `receive=` as JavaScript ones. What the two read differently is rewritten; what JavaScript
 * does not have is refused by name, never matched in another way.
 */
import { Problem } from './diagnostic.ts';
import { readClass } from './perl-regex-class.ts';

interface Flags {
  readonly i: boolean;
  readonly s: boolean;
  readonly m: boolean;
  readonly x: boolean;
}

/** What was read and where to go on; or what can not be translated. */
type Step = { readonly text: string; readonly next: number } | Problem;

const noFlags: Flags = { i: false, s: false, m: false, x: false };
const endOfText = '(?![\\s\\S])';

/** Escapes that stand for something else in JavaScript. */
const escapes: ReadonlyMap<string, string> = new Map([
  ['A', '(?<![\\s\\S])'],
  ['z', endOfText],
  ['Z', `(?=\\n?${endOfText})`],
  ['h', '[ \\t\\u00a0]'],
  ['H', '[^ \\t\\u00a0]'],
  ['v', '[\\n-\\r\\u0085\\u2028\\u2029]'],
  ['V', '[^\\n-\\r\\u0085\\u2028\\u2029]'],
  ['R', '(?:\\r\\n|[\\n-\\r\\u0085\\u2028\\u2029])'],
  ['N', '[^\\n]'],
  ['e', '\\x1b'],
  ['a', '\\x07'],
]);

const unsupportedEscapes = 'CEFGKLPQUXglopu';

/** A RegExp that finds what Perl's `=~ /pattern/` finds, or the construct that stands in the way. */
export function translatePerlRegex(pattern: string): RegExp | Problem {
  const leading = leadingFlags(pattern);
  if (leading instanceof Problem) return leading;
  let source = '';
  for (let next = leading.next; next < pattern.length;) {
    const step = readAtom(pattern, next, leading.flags);
    if (step instanceof Problem) return step;
    source += step.text;
    next = step.next;
  }
  try {
    return new RegExp(source, leading.flags.i ? 'i' : '');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return refusal(error.message.replace(/^.*: /s, '').toLowerCase());
  }
}

function refusal(construct: string): Problem {
  return new Problem('invalid receive string', `a regular expression that works here: ${construct}`);
}

function unsupported(construct: string): Problem {
  return refusal(`"${construct}" is not supported`);
}

/** `(?i)`, `(?is)`, `(?i)(?m)` at the start. */
function leadingFlags(pattern: string): { flags: Flags; next: number } | Problem {
  let flags = noFlags;
  let next = 0;
  for (;;) {
    const group = /^\(\?([a-z^]+)\)/.exec(pattern.slice(next));
    if (group === null) return { flags, next };
    const [whole, letters = ''] = group;
    for (const letter of letters) {
      if (letter === 'i' || letter === 's' || letter === 'm' || letter === 'x') {
        flags = { ...flags, [letter]: true };
      } else {
        return unsupported(whole);
      }
    }
    next += whole.length;
  }
}

function readAtom(pattern: string, start: number, flags: Flags): Step {
  const character = pattern[start] ?? '';
  const as = (text: string): Step => ({ text, next: start + 1 });
  switch (character) {
    case '\\':
      return readEscape(pattern, start);
    case '[':
      return readClass(pattern, start, unsupported);
    case '(':
      return readGroup(pattern, start);
    case '.':
      return as(flags.s ? '[\\s\\S]' : '[^\\n]');
    case '^':
      return as(flags.m ? '(?<![^\\n])' : '^');
    case '$':
      return as(flags.m ? `(?=\\n|${endOfText})` : `(?=\\n?${endOfText})`);
    case '*':
    case '+':
    case '?':
      return readQuantifier(pattern, start, character);
    case '{':
      return readBraces(pattern, start);
    case '#':
      return flags.x ? { text: '', next: lineEnd(pattern, start) } : as('#');
    default:
      return flags.x && /\s/.test(character) ? as('') : as(character);
  }
}

function lineEnd(pattern: string, start: number): number {
  const end = pattern.indexOf('\n', start);
  return end === -1 ? pattern.length : end + 1;
}

/** Perl's `a++` gives nothing back; JavaScript can not. */
function readQuantifier(pattern: string, start: number, quantifier: string): Step {
  const next = start + quantifier.length;
  if (pattern[next] === '+') return unsupported(`${quantifier}+`);
  if (pattern[next] === '?') return { text: `${quantifier}?`, next: next + 1 };
  return { text: quantifier, next };
}

function readBraces(pattern: string, start: number): Step {
  const counts = /^\{ *(\d*) *(,?) *(\d*) *\}/.exec(pattern.slice(start));
  const [whole = '', least = '', comma = '', most = ''] = counts ?? [];
  if (counts === null || (least === '' && most === '')) return { text: '\\{', next: start + 1 };
  const step = readQuantifier(pattern, start, whole);
  if (step instanceof Problem) return step;
  const lazy = step.next > start + whole.length ? '?' : '';
  return { text: `{${least === '' ? '0' : least}${comma}${most}}${lazy}`, next: step.next };
}

function readEscape(pattern: string, start: number): Step {
  const letter = pattern[start + 1];
  if (letter === undefined) return refusal('there is nothing behind its last backslash');
  const tail = pattern.slice(start);
  const hex = /^\\x(?:\{ *([0-9a-fA-F]{1,6}) *\}|([0-9a-fA-F]{1,2}))/.exec(tail);
  if (hex !== null) {
    const code = Number.parseInt(hex[1] ?? hex[2] ?? '0', 16);
    return code > 0x10ffff ? unsupported(hex[0]) : { text: literal(code), next: start + hex[0].length };
  }
  const group = /^\\g(?:\{?(\d+)\}?|\{(\w+)\})/.exec(tail);
  if (group !== null) {
    const text = group[1] === undefined ? `\\k<${group[2] ?? ''}>` : `(?:\\${group[1]})`;
    return { text, next: start + group[0].length };
  }
  const named = /^\\k(?:\{(\w+)\}|'(\w+)'|<(\w+)>)/.exec(tail);
  if (named !== null) {
    return { text: `\\k<${named[1] ?? named[2] ?? named[3] ?? ''}>`, next: start + named[0].length };
  }
  if (/^\\[bBN]\{/.test(tail)) return unsupported(tail.slice(0, 3));
  if (unsupportedEscapes.includes(letter)) return unsupported(`\\${letter}`);
  return { text: escapes.get(letter) ?? `\\${letter}`, next: start + 2 };
}

/** One character, whatever it is, so that a quantifier behind it counts the whole of it. */
function literal(code: number): string {
  const text = String.fromCodePoint(code);
  const units = Array.from(
    { length: text.length },
    (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`,
  );
  return units.length === 1 ? (units[0] ?? '') : `(?:${units.join('')})`;
}

function readGroup(pattern: string, start: number): Step {
  const tail = pattern.slice(start);
  const comment = /^\(\?#[^)]*\)/.exec(tail);
  if (comment !== null) return { text: '', next: start + comment[0].length };
  const plain = /^\((?:\?(?:[:=!]|<[=!]))?(?![?*])/.exec(tail);
  if (plain !== null) return { text: plain[0], next: start + plain[0].length };
  const named = /^\(\?(?:P?<(\w+)>|'(\w+)')/.exec(tail);
  if (named !== null) {
    return { text: `(?<${named[1] ?? named[2] ?? ''}>`, next: start + named[0].length };
  }
  const reference = /^\(\?P=(\w+)\)/.exec(tail);
  if (reference !== null) return { text: `\\k<${reference[1] ?? ''}>`, next: start + reference[0].length };
  return unsupported(/^\((?:\?(?:[<>&|(]|[\w^-]+[:)]?)|\*\w*)/.exec(tail)?.[0] ?? '(');
}
