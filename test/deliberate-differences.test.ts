/** The README tells people of the same differences as the tests allow. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { rows } from './deliberate-differences.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

void t.test('the README has every difference, and no other', (t) => {
  const [, table = ''] =
    /\n### What is different, on purpose\n\|.*\n\|[-|]+\n((?:\|.*\n)+)/.exec(readme) ?? [];
  t.same(
    table.trimEnd().split('\n'),
    rows.map(({ original, here }) => `| ${original} | ${here} |`),
  );
  t.end();
});

void t.test('numbers are in order, and a row that the design does not have says why', (t) => {
  t.same(
    rows.map(({ number }) => number),
    rows.map((_, i) => i + 1),
  );
  t.same(
    rows.filter(({ number, reason }) => number > 16 && reason === undefined),
    [],
  );
  t.end();
});
