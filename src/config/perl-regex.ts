/**
 * Perl regular expressions of `receive=` as JavaScript ones. What the two read differently is rewritten; what can not be said in
 * JavaScript is refused by name, never matched in another way. Only one thing differs: pattern and text are characters here, where
 * Perl sees the bytes of UTF-8, so `^.$` finds `ü`. Letters, digits and blanks are those of ASCII, as they are to Perl in bytes.
 */
import { Problem } from './diagnostic.ts';
import { readClass } from './perl-regex-class.ts';
import { Refusal } from './perl-regex-code.ts';
import { plainCharacter, readEscape } from './perl-regex-escape.ts';
import type { Flags } from './perl-regex-flags.ts';
import { changed, noFlags, readQuantifier } from './perl-regex-flags.ts';

/** A RegExp that finds what Perl's `=~ /pattern/` finds, or the construct that stands in the way. */
export function translatePerlRegex(pattern: string): RegExp | Problem {
  try {
    return new RegExp(new Translation(pattern).whole());
  } catch (error) {
    if (error instanceof Refusal) return refusal(error.message);
    if (error instanceof SyntaxError) return refusal(error.message.replace(/^.*: /s, '').toLowerCase());
    throw error;
  }
}

function refusal(construct: string): Problem {
  return new Problem('invalid receive string', `a regular expression that works here: ${construct}`);
}

/** Numbers of groups that have matched, whichever way the pattern was gone through. */
type Groups = ReadonlySet<number>;

interface Part {
  readonly text: string;
  readonly groups: Groups;
}

const none: Groups = new Set();
const endOfText = '(?![\\s\\S])';

class Translation {
  readonly #pattern: string;
  /** Only then groups get names, so that a pattern stays what its author knows. */
  readonly #refers: boolean;
  readonly #names = new Map<string, number>();
  #at = 0;
  #opened = 0;
  #atoms = 0;
  #lookbehinds = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
    this.#refers = /\\[1-9gk]|\(\?P=/.test(pattern);
  }

  whole(): string {
    const { text } = this.#alternatives(noFlags, none);
    if (this.#at < this.#pattern.length) throw new Refusal('unmatched ")"');
    return text;
  }

  get #tail(): string {
    return this.#pattern.slice(this.#at);
  }

  /** Up to the end, or the parenthesis that closes the group. Only groups that every alternative has are sure to match. */
  #alternatives(outer: Flags, before: Groups): Part {
    let flags = outer;
    let text = '';
    let groups = new Set(before);
    let inAll: Groups | undefined;
    for (;;) {
      this.#skip(flags);
      const character = this.#pattern[this.#at];
      if (character === undefined || character === ')') break;
      const switches = /^\(\?([a-z^-]*)\)/.exec(this.#tail);
      if (character === '|') {
        this.#at += 1;
        text += '|';
        inAll = common(inAll, groups);
        groups = new Set(before);
      } else if (switches === null) {
        const part = this.#piece(flags, groups);
        text += part.text;
        for (const group of part.groups) groups.add(group);
      } else {
        flags = changed(flags, switches[1] ?? '');
        this.#at += switches[0].length;
      }
    }
    return { text, groups: common(inAll, groups) };
  }

  /** Comments, and with x blanks. */
  #skip(flags: Flags): void {
    const skipped = flags.x ? /^(?:[\t-\r ]|#[^\n]*|\(\?#[^)]*\))+/ : /^(?:\(\?#[^)]*\))+/;
    this.#at += skipped.exec(this.#tail)?.[0].length ?? 0;
  }

  /** Something with its quantifier. */
  #piece(flags: Flags, before: Groups): Part {
    const atom = this.#atom(flags, before);
    this.#skip(flags);
    const quantifier = readQuantifier(this.#tail);
    if (quantifier === undefined) return atom;
    this.#at += quantifier.length;
    this.#skip(flags);
    const way = /^[?+]/.exec(this.#tail)?.[0] ?? '';
    this.#at += way.length;
    this.#skip(flags);
    if (readQuantifier(this.#tail) !== undefined) throw new Refusal('nested quantifiers');
    if (this.#lookbehinds > 0 && quantifier.most === Infinity)
      throw Refusal.of(`${quantifier.text} in a look behind`);
    const groups = quantifier.least > 0 ? atom.groups : none;
    const text = `${atom.text}${quantifier.text}`;
    if (way === '+') return { text: this.#atomic(text), groups };
    return { text: `${text}${way}`, groups };
  }

  /** JavaScript gives back what it matched, but not from within a look ahead. */
  #atomic(text: string): string {
    if (this.#lookbehinds > 0) throw Refusal.of('(?> ) in a look behind');
    this.#atoms += 1;
    return `(?:(?=(?<a${this.#atoms}>${text}))\\k<a${this.#atoms}>)`;
  }

  #atom(flags: Flags, before: Groups): Part {
    const character = String.fromCodePoint(this.#pattern.codePointAt(this.#at) ?? 0);
    if (character === '(') return this.#group(flags, before);
    if (character === '[') {
      const { text, next } = readClass(this.#pattern, this.#at, flags.i);
      this.#at = next;
      return { text, groups: none };
    }
    if (character === '\\') return { text: this.#escape(flags, before), groups: none };
    this.#at += character.length;
    return { text: plain(character, flags), groups: none };
  }

  #escape(flags: Flags, before: Groups): string {
    const escape = readEscape(this.#tail, this.#opened);
    this.#at += escape.length;
    if (!('reference' in escape))
      return 'text' in escape ? escape.text : plainCharacter(escape.character, flags);
    const group = this.#numberOf(escape.reference);
    const written = this.#pattern.slice(this.#at - escape.length, this.#at);
    // of a group that did not match Perl finds nothing, and JavaScript the empty text
    if (group === undefined || !before.has(group) || flags.i || this.#lookbehinds > 0)
      throw Refusal.of(`${written} here`);
    return `\\k<g${group}>`;
  }

  #numberOf(reference: string | number): number | undefined {
    if (typeof reference === 'string') return this.#names.get(reference);
    return reference < 0 ? this.#opened + 1 + reference : reference;
  }

  #group(flags: Flags, before: Groups): Part {
    const tail = this.#tail;
    const reference = /^\(\?P=\w+\)/.exec(tail);
    if (reference !== null) return { text: this.#escape(flags, before), groups: none };
    const look = /^\(\?<?[=!]/.exec(tail)?.[0];
    if (look !== undefined) return this.#look(look, flags, before);
    const named = /^\(\?(?:P?<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')/.exec(tail);
    if (named !== null) return this.#capture(named[0], flags, before, named[1] ?? named[2]);
    if (/^\((?![?*])/.test(tail) && !flags.n) return this.#capture('(', flags, before);
    const cluster = /^\((?:\?([a-z^-]*):|(?![?*]))/.exec(tail);
    if (cluster !== null) {
      const inner = this.#inside(cluster[0], changed(flags, cluster[1] ?? ''), before);
      return { text: `(?:${inner.text})`, groups: inner.groups };
    }
    if (tail.startsWith('(?>')) {
      const inner = this.#inside('(?>', flags, before);
      return { text: this.#atomic(inner.text), groups: inner.groups };
    }
    throw Refusal.of(/^\((?:\?(?:[<>&|(]|[\w^-]+[:)]?)|\*\w*)/.exec(tail)?.[0] ?? tail.slice(0, 3));
  }

  #capture(opening: string, flags: Flags, before: Groups, name?: string): Part {
    this.#opened += 1;
    const number = this.#opened;
    if (name !== undefined) {
      if (this.#names.has(name)) throw new Refusal(`two groups of the name "${name}"`);
      this.#names.set(name, number);
    }
    const { text, groups } = this.#inside(opening, flags, before);
    return { text: `(${this.#refers ? `?<g${number}>` : ''}${text})`, groups: new Set([...groups, number]) };
  }

  #look(opening: string, flags: Flags, before: Groups): Part {
    const behind = opening.startsWith('(?<') ? 1 : 0;
    this.#lookbehinds += behind;
    const { text, groups } = this.#inside(opening, flags, before);
    this.#lookbehinds -= behind;
    return { text: `${opening}${text})`, groups: opening === '(?=' ? groups : none };
  }

  #inside(opening: string, flags: Flags, before: Groups): Part {
    this.#at += opening.length;
    const part = this.#alternatives(flags, before);
    if (this.#pattern[this.#at] !== ')') throw new Refusal('unterminated group');
    this.#at += 1;
    return part;
  }
}

/** Groups that are in both; all of the second, when that is the only alternative. */
function common(some: Groups | undefined, others: Groups): Groups {
  return some === undefined ? others : new Set([...some].filter((group) => others.has(group)));
}

function plain(character: string, flags: Flags): string {
  switch (character) {
    case '.':
      return flags.s ? '[\\s\\S]' : '[^\\n]';
    case '^':
      // never behind the newline that ends the text
      return flags.m ? '(?:^|(?<=\\n)(?=[\\s\\S]))' : '^';
    case '$':
      return flags.m ? `(?=\\n|${endOfText})` : `(?=\\n?${endOfText})`;
    case '*':
    case '+':
    case '?':
      throw new Refusal('nothing to repeat');
    default:
      return plainCharacter(character, flags);
  }
}
