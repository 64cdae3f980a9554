/** What to say to a line that is no directive where it stands: usually a slip that can be named. */
import type { Line } from './lexer.ts';
import { assignmentOf } from './lexer.ts';
import { globalDirectives } from './global-directives.ts';
import { sectionKeywords, virtualDirectives } from './virtual-directives.ts';

const sectionNames = [...virtualDirectives({ family: 'inet', mark: false }).keys()];

/** `endedBy`: the blank line that ended the section above, if one did. */
export function hintForGlobalLine(line: Line, endedBy: number | undefined): string {
  const indent = /^[ \t]*/.exec(line.original)?.[0].length ?? 0;
  if (indent > 0) {
    if (/^[ \t]*virtual6?[ \t]*=/.test(line.original)) return 'virtual= at the beginning of the line';
    if (endedBy !== undefined) {
      return `no blank line within a section: line ${endedBy} is blank and ends the virtual= above it`;
    }
    return 'global directives at the beginning of the line, and at least four blanks before those of a section';
  }
  const keyword = keywordOf(line);
  if (sectionKeywords.only(keyword)) {
    return `four blanks before "${keyword}", and a virtual= section right above it`;
  }
  if (globalDirectives.has(keyword)) return `${keyword}=VALUE`;
  return (
    nearest(keyword, ['virtual', 'virtual6', ...globalDirectives.keys()]) ?? 'a global directive or virtual='
  );
}

export function hintForSectionLine(line: Line): string {
  if (line.text.trim() === '') return 'a directive, or a line that is quite empty';
  const keyword = keywordOf(line);
  if (globalDirectives.has(keyword) && !sectionKeywords.allowed(keyword)) {
    return `"${keyword}" at the beginning of a line, outside of the section: it is global only`;
  }
  if (sectionKeywords.allowed(keyword)) return `${keyword}=VALUE`;
  return nearest(keyword, sectionNames) ?? 'a directive of a virtual service';
}

function keywordOf(line: Line): string {
  return assignmentOf(line)?.keyword ?? /^\w*/.exec(line.text)?.[0] ?? '';
}

/** The known word at most two letters away. */
function nearest(word: string, known: readonly string[]): string | undefined {
  const lower = word.toLowerCase();
  const ranked = known
    .map((name) => ({ name, distance: editDistance(lower, name) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= 2 && lower.length > 3 ? `"${best.name}"` : undefined;
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return Infinity;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of a.split('').entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const replace = (row[j] ?? 0) + (b[j] === letter ? 0 : 1);
      next.push(Math.min(replace, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
