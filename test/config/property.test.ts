import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { Problem } from '../../src/config/diagnostic.ts';
import { translatePerlRegex } from '../../src/config/perl-regex.ts';
import { parse } from './parse-helpers.ts';

const recorded = readFileSync(new URL('../golden/ldirectord-config.jsonl', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => (JSON.parse(line) as { config: string }).config);

async function holds(text: string): Promise<boolean> {
  const result = await parse(text);
  const diagnostics = result.ok ? result.warnings : result.diagnostics;
  const lines = text.split('\n');
  const placed = diagnostics.every(({ at }) => {
    if (at === undefined) return true;
    return (
      at.line >= 1 &&
      at.line <= lines.length &&
      at.column >= 1 &&
      at.column <= (lines[at.line - 1] ?? '').length + 1
    );
  });
  return placed && result.ok === !diagnostics.some(({ severity }) => severity === 'error');
}

/** A recorded configuration with pieces of others, or of anything, put in, cut out or repeated. */
const mutated = fc
  .tuple(
    fc.constantFrom(...recorded),
    fc.array(
      fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        cut: fc.nat(12),
        put: fc.oneof(
          fc.string({ unit: 'binary', maxLength: 6 }),
          fc.constantFrom(...' \t\n\r#"=:,->[]()0'.split(''), '\n    ', '\nvirtual='),
          fc.constantFrom(...recorded),
        ),
      }),
      { maxLength: 4 },
    ),
  )
  .map(([text, edits]) =>
    edits.reduce((before, { at, cut, put }) => {
      const index = Math.floor(at * before.length);
      return before.slice(0, index) + put + before.slice(index + cut);
    }, text),
  );

t.test('any text is accepted or refused with a place in it', async (t) => {
  await fc.assert(fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 200 }), holds), { numRuns: 500 });
  await fc.assert(fc.asyncProperty(mutated, holds), { numRuns: 1500 });
  t.pass();
});

t.test('any pattern is translated or refused', (t) => {
  const piece = fc.constantFrom(...'\\[](){}^$.*+?|,-:#=!<>AZzxQE1a \n'.split(''), '[:alpha:]', '(?', '\\x{');
  const pattern = fc.array(fc.oneof(piece, fc.string({ maxLength: 2 })), { maxLength: 10 });
  fc.assert(
    fc.property(pattern, (pieces) => {
      const result = translatePerlRegex(pieces.join(''));
      return result instanceof Problem || result instanceof RegExp;
    }),
    { numRuns: 3000 },
  );
  t.end();
});
