/**
 * ldirectord.cf as text to a complete {@link Configuration}, or to everything that is wrong with it. Reads like the file:
 * global lines and sections in order, then what needs the whole file.
 */
import type { Names } from '../util/names.ts';
import { Problem, Report } from './diagnostic.ts';
import type { Directive, ReadContext } from './directive.ts';
import type { GlobalDraft, VirtualDraft, Written } from './draft.ts';
import { resolveFallback } from './fallback-line.ts';
import type { FileProbes } from './file-probes.ts';
import { noFileProbes } from './file-probes.ts';
import { globalDirectives } from './global-directives.ts';
import type { Line, Section } from './lexer.ts';
import { assignmentOf, lex } from './lexer.ts';
import { serviceKey } from '../director/table.ts';
import type { Configuration, Diagnostic } from './model.ts';
import type { GlobalFallbacks } from './resolve-global.ts';
import { globalProxyProtocol, resolveGlobal } from './resolve-global.ts';
import type { NamedSection } from './resolve-virtual.ts';
import { nameSection, resolveVirtual } from './resolve-virtual.ts';
import { hintForGlobalLine, hintForSectionLine } from './unknown-command.ts';
import { sectionKeywords, virtualDirectives } from './virtual-directives.ts';
import type { SectionKind } from './virtual-directives.ts';
import { parseVirtualLine } from './virtual-line.ts';

export interface ParseOptions {
  /** Path for messages and for {@link Configuration.file}. */
  readonly file: string;
  readonly names: Names;
  /** Name of this host, for the default logins of ftp and sip. */
  readonly hostname: string;
  /** Default: no look at the file system. */
  readonly probes?: FileProbes;
}

export type ParseResult =
  | { readonly ok: true; readonly configuration: Configuration; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** Never throws for any text. Errors come in the order in which ldirectord would meet them. */
export async function parseConfiguration(text: string, options: ParseOptions): Promise<ParseResult> {
  const { file, names, hostname, probes = noFileProbes } = options;
  const report = new Report(file);
  const reader = new FileReader({ report, probes, hostname }, names);
  await reader.read(text);

  const global = resolveGlobal(reader.global, reader.fallbacks);
  const proxyProtocol = globalProxyProtocol(reader.global);
  const virtuals = reader.sections.map((section) => resolveVirtual(section, global, proxyProtocol, report));
  if (report.errors > 0) return { ok: false, diagnostics: report.diagnostics };
  return { ok: true, configuration: { file, global, virtuals }, warnings: report.diagnostics };
}

/** What has been read of one file so far. */
class FileReader {
  readonly global: GlobalDraft = { execute: new Set() };
  readonly fallbacks: GlobalFallbacks = {};
  readonly sections: NamedSection[] = [];
  readonly #context: ReadContext;
  readonly #names: Names;
  /** Line of the `virtual=` for each service. */
  readonly #heads = new Map<string, number>();
  /** Last line of the last section, and of the last run of stray indented lines. */
  #sectionEnd = 0;
  #stray = -1;

  constructor(context: ReadContext, names: Names) {
    this.#context = context;
    this.#names = names;
  }

  async read(text: string): Promise<void> {
    const lines = text.split('\n');
    for (const block of lex(text, sectionKeywords)) {
      if (block.kind === 'section') {
        await this.#readSection(block);
        this.#sectionEnd = block.end;
      } else {
        await this.#readGlobalLine(block.line, lines);
      }
    }
  }

  async #readGlobalLine(line: Line, lines: readonly string[]): Promise<void> {
    if (/^supervised[ \t\r\f\v]*$/.test(line.text)) {
      this.global.supervised = true;
      const message = 'please update your config not to use a bare supervised directive';
      this.#context.report.warning(line.at(0), message, 'supervised=yes');
      return;
    }
    if (/^[ \t]/.test(line.text)) {
      this.#reportStray(line, lines);
      return;
    }
    const keyword = readLine(line, globalDirectives, this.global, this.#context);
    if (keyword === 'fallback' || keyword === 'fallback6') await this.#lookUpFallback(keyword);
    if (keyword !== undefined) return;
    const bare = /^supervised/.test(line.text);
    this.#context.report.error(
      line.at(0),
      bare ? "supervised must be 'yes' or 'no'" : `Unknown command ${shown(line)}`,
      bare ? 'yes or no' : hintForGlobalLine(line, undefined),
    );
  }

  /** One error for a run of indented lines that belong to no section. */
  #reportStray(line: Line, lines: readonly string[]): void {
    if (line.number !== this.#stray + 1) {
      const gap = lines.slice(this.#sectionEnd - 1, line.number - 1);
      const afterBlank = this.#sectionEnd > 0 && gap.length > 0 && gap.every((each) => each.trim() === '');
      const enough = /^ {4}/.test(line.original.replaceAll('\t', '    '));
      this.#context.report.error(
        line.at(0),
        `Unknown command ${shown(line)}`,
        hintForGlobalLine(line, afterBlank && enough ? this.#sectionEnd : undefined),
      );
    }
    this.#stray = line.number;
  }

  async #lookUpFallback(keyword: 'fallback' | 'fallback6'): Promise<void> {
    const written = this.global[keyword];
    if (written === undefined) return;
    const family = keyword === 'fallback' ? 'inet' : 'inet6';
    const { report } = this.#context;
    const fallback = await resolveFallback(written, family, ['tcp', 'udp'], this.#names, report);
    if (fallback !== undefined) this.fallbacks[keyword] = { ...fallback, port: fallback.port ?? 0 };
  }

  async #readSection(section: Section): Promise<void> {
    const { report } = this.#context;
    const assignment = assignmentOf(section.head);
    if (assignment === undefined) return;
    const at = section.head.at(assignment.index);
    const family = assignment.keyword === 'virtual6' ? 'inet6' : 'inet';
    const target = parseVirtualLine(assignment.value, family);
    if (target instanceof Problem) {
      report.error(at, target.message ?? 'invalid address for virtual server', target.expected);
    }
    const draft: VirtualDraft = { reals: [] };
    this.#readBody(section, { family, mark: !(target instanceof Problem) && target.kind === 'mark' }, draft);
    warnAboutUnindented(section, report);
    if (target instanceof Problem) return;
    const named = await nameSection({ at, family, target, draft }, this.#names, report);
    if (named !== undefined && this.#isNew(named, section)) this.sections.push(named);
  }

  #readBody(section: Section, kind: SectionKind, draft: VirtualDraft): void {
    const directives = virtualDirectives(kind);
    for (const line of section.body) {
      if (readLine(line, directives, draft, this.#context) === undefined) {
        this.#context.report.error(line.at(0), `Unknown command "${shown(line)}"`, hintForSectionLine(line));
      }
    }
  }

  /** ldirectord reports this where it stopped reading the section, and says the same when the file ends at its head. */
  #isNew({ service }: NamedSection, { head, end, headIsLast }: Section): boolean {
    const key = serviceKey(service);
    const earlier = this.#heads.get(key);
    this.#heads.set(key, earlier ?? head.number);
    if (earlier === undefined && !headIsLast) return true;
    this.#context.report.error(
      { line: end, column: 1 },
      'duplicate virtual server',
      earlier === undefined
        ? `a real= line below virtual=, which is the last line of the file`
        : `one section for ${key}: it stands at line ${earlier} and again at line ${head.number}`,
    );
    return false;
  }
}

/** Reads `keyword = value` with the directive of that name. Undefined if the line is none of them. */
function readLine<Draft>(
  line: Line,
  directives: ReadonlyMap<string, Directive<Draft>>,
  draft: Draft,
  context: ReadContext,
): string | undefined {
  const assignment = assignmentOf(line);
  const directive = directives.get(assignment?.keyword ?? '');
  if (assignment === undefined || directive === undefined) return undefined;
  const problem = directive(written(line, assignment.value, assignment.index), draft, context);
  if (problem === undefined) return assignment.keyword;
  const unknown = directives === globalDirectives ? shown(line) : `"${shown(line)}"`;
  context.report.error(
    line.at(problem.message === undefined ? 0 : assignment.index),
    problem.message ?? `Unknown command ${unknown}`,
    problem.expected,
  );
  return 'refused';
}

function shown(line: Line): string {
  return line.original.replace(/\r$/, '');
}

function written(line: Line, text: string, start: number): Written {
  return { text, at: line.at(start), atIndex: (index) => line.at(start + index) };
}

function warnAboutUnindented({ head, unindented }: Section, report: Report): void {
  if (unindented === undefined) return;
  const [first, last] = unindented;
  report.warning(
    { line: first, column: 1 },
    first === last
      ? `line ${first} is not indented; it is read as part of the virtual= at line ${head.number}`
      : `lines ${first} to ${last} are not indented; they are read as part of the virtual= at line ${head.number}`,
    'four blanks at the beginning of each (ldirectord refuses this file)',
  );
}
