/** Characters that a Perl pattern writes by their code: `\x41`, `\o{101}`, `\012`, `\cA`, `\e`. */

/** What stands in the way of a translation, for people. */
export class Refusal extends Error {
  static of(construct: string): Refusal {
    return new Refusal(`"${construct}" is not supported`);
  }
}

/** One character and how much of the pattern it takes. */
export interface Coded {
  readonly code: number;
  readonly length: number;
}

const letters: ReadonlyMap<string, number> = new Map([
  ['a', 7],
  ['e', 0x1b],
  ['f', 0xc],
  ['n', 0xa],
  ['r', 0xd],
  ['t', 9],
]);

/**
 * @param tail from a backslash on. @returns undefined when something else is written there
 * @throws Refusal for codes above ASCII: they are bytes to Perl, and the characters of UTF-8 have several
 */
export function readCode(tail: string): Coded | undefined {
  const coded = codeIn(tail);
  if (coded !== undefined && coded.code > 0x7f)
    throw new Refusal(`"${tail.slice(0, coded.length)}" is no ASCII character; write the character itself`);
  return coded;
}

function codeIn(tail: string): Coded | undefined {
  const letter = letters.get(tail[1] ?? '');
  if (letter !== undefined) return { code: letter, length: 2 };
  const [written = '', braced, plain = '0', octal, zero] =
    /^\\(?:x(?:\{ *([0-9a-fA-F]*) *\}|([0-9a-fA-F]{0,2}))|o\{ *([0-7]+) *\}|(0[0-7]{0,2}))/.exec(tail) ?? [];
  if (octal !== undefined || zero !== undefined)
    return { code: Number.parseInt(octal ?? zero ?? '', 8), length: written.length };
  if (written !== '') {
    if (tail[2] === '{' && braced === undefined) throw Refusal.of(tail.slice(0, 3));
    return { code: Number.parseInt(`0${braced ?? plain}`, 16), length: written.length };
  }
  const control = /^\\c([?-_a-z])/.exec(tail)?.[1];
  if (control === undefined) return undefined;
  return { code: control.toUpperCase().charCodeAt(0) ^ 0x40, length: 3 };
}

/** Characters that mean something in a JavaScript pattern. */
const special = /[\\^$.*+?()[\]{}|]/;

/** A character, or half of one outside the basic plane, that stands for itself. */
export function unit(code: number): string {
  const text = String.fromCharCode(code);
  if (special.test(text)) return `\\${text}`;
  return code >= 0x20 && code < 0x7f ? text : `\\u${code.toString(16).padStart(4, '0')}`;
}
