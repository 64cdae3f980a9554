/**
 * Lines of ldirectord.cf grouped into global lines and `virtual=` sections: what belongs to what, with comments cut
 * and tabs expanded. Knows nothing about values; line and column of everything survive.
 */
import type { Position } from './model.ts';

/** Perl's \s on bytes; JavaScript's would also take no-break blanks and byte order marks. */
export const blank = '[ \\t\\r\\f\\v]';

const assignment = new RegExp(`^([a-z0-9]+)${blank}*=${blank}*(.*)$`, 's');
const sectionHead = new RegExp(`^virtual6?${blank}*=`);
const nothing = new RegExp(`^${blank}*(?:#|$)`);
const comment = new RegExp(`^${blank}*#`);
const indented = /^ {4,}(?=.)/s;
const tabWidth = 4;

/** One line as it is to be read. */
export class Line {
  readonly number: number;
  /** As in the file, without the newline. */
  readonly original: string;
  /** Without indentation; in a section also without trailing comment and with tabs expanded. */
  readonly text: string;
  readonly #indent: number;

  constructor(number: number, original: string, text = original, indent = 0) {
    this.number = number;
    this.original = original;
    this.text = text;
    this.#indent = indent;
  }

  /** Where in the file the character at `index` of `text` stands. */
  at(index: number): Position {
    let width = 0;
    let column = 0;
    const expanded = this.text !== this.original;
    while (column < this.original.length && width < index + this.#indent) {
      width += expanded && this.original[column] === '\t' ? tabWidth : 1;
      column++;
    }
    return { line: this.number, column: column + 1 };
  }
}

/** A `keyword = value` line taken apart. `index` is where the value starts in the line's text. */
export interface Assignment {
  readonly keyword: string;
  readonly value: string;
  readonly index: number;
}

export interface Section {
  readonly kind: 'section';
  readonly head: Line;
  readonly body: readonly Line[];
  /** Number of the line at which reading the section stopped: where ldirectord reports what concerns all of it. */
  readonly end: number;
  /** The `virtual=` line is the last of the file. */
  readonly headIsLast: boolean;
  /** First and last body line that stand in column 0 although they belong here. */
  readonly unindented: readonly [first: number, last: number] | undefined;
}

export type Block = Section | { readonly kind: 'global'; readonly line: Line };

/** Which keywords a section may hold, and which of them mean nothing outside of one. */
export interface SectionKeywords {
  allowed(keyword: string): boolean;
  only(keyword: string): boolean;
}

export function assignmentOf(line: Line): Assignment | undefined {
  const match = assignment.exec(line.text);
  if (match === null) return undefined;
  const [, keyword = '', value = ''] = match;
  return { keyword, value, index: line.text.length - value.length };
}

/** Blank and comment lines at global level are left out. */
export function lex(text: string, keywords: SectionKeywords): Block[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const blocks: Block[] = [];
  let next = 0;
  while (next < lines.length) {
    const line = new Line(next + 1, lines[next] ?? '');
    next++;
    if (sectionHead.test(line.text)) {
      const section = readSection(line, lines, keywords);
      blocks.push(section.block);
      next = section.next;
    } else if (!nothing.test(line.text)) {
      blocks.push({ kind: 'global', line });
    }
  }
  return blocks;
}

function readSection(
  head: Line,
  lines: readonly string[],
  keywords: SectionKeywords,
): { block: Section; next: number } {
  const flush = isWrittenFlush(lines, head.number, keywords);
  const body: Line[] = [];
  const unindented: number[] = [];
  let next = head.number;
  for (; next < lines.length; next++) {
    const original = lines[next] ?? '';
    if (comment.test(original)) continue;
    const line =
      bodyLine(next + 1, original) ?? (flush ? flushLine(next + 1, original, keywords) : undefined);
    if (line === undefined) break;
    if (!line.original.startsWith(' ') && !line.original.startsWith('\t')) unindented.push(line.number);
    body.push(line);
  }
  const [first, last] = [unindented[0], unindented.at(-1)];
  const block: Section = {
    kind: 'section',
    head,
    body,
    end: Math.min(next + 1, lines.length),
    headIsLast: head.number === lines.length,
    unindented: first === undefined || last === undefined ? undefined : [first, last],
  };
  return { block, next };
}

/**
 * Whether a section is written without indentation, as in many web pages: column-0 lines follow its head directly and
 * one of them has a keyword that is an error for ldirectord outside of a section. Such a file never had another meaning;
 * lines that are also global directives (`fallback=`, `quiescent=`) decide nothing by themselves.
 */
function isWrittenFlush(lines: readonly string[], start: number, keywords: SectionKeywords): boolean {
  for (let i = start; i < lines.length; i++) {
    const original = lines[i] ?? '';
    if (comment.test(original)) continue;
    const keyword = assignmentOf(new Line(i + 1, original))?.keyword;
    if (keyword === undefined || !keywords.allowed(keyword)) return false;
    if (keywords.only(keyword)) return true;
  }
  return false;
}

/** A line with at least four leading blanks and one character more, or undefined. */
function bodyLine(number: number, original: string): Line | undefined {
  const expanded = withoutComment(original).replaceAll('\t', ' '.repeat(tabWidth));
  const indent = indented.exec(expanded)?.[0].length;
  return indent === undefined ? undefined : new Line(number, original, expanded.slice(indent), indent);
}

function flushLine(number: number, original: string, keywords: SectionKeywords): Line | undefined {
  const text = withoutComment(original).replaceAll('\t', ' '.repeat(tabWidth));
  const line = new Line(number, original, text);
  const keyword = assignmentOf(line)?.keyword;
  return keyword !== undefined && keywords.allowed(keyword) ? line : undefined;
}

/** Cut at the first `#` that does not stand between two double quotes. */
function withoutComment(text: string): string {
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '"') quoted = !quoted;
    else if (text[i] === '#' && !(quoted && text.includes('"', i))) return text.slice(0, i);
  }
  return text;
}
