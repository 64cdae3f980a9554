import t from 'tap';
import { Problem } from '../../src/config/diagnostic.ts';
import { translatePerlRegex } from '../../src/config/perl-regex.ts';

function finds(pattern: string, text: string): boolean {
  const regex = translatePerlRegex(pattern);
  if (regex instanceof Problem) throw new Error(regex.expected);
  return regex.test(text);
}

t.test('patterns find what Perl finds', (t) => {
  const cases: readonly [pattern: string, text: string, found: boolean][] = [
    ['Test Page', 'a Test Page b', true],
    ['OK', 'ok', false],
    ['(?i)ok', 'OK', true],
    ['^a.c$', 'abc\n', true],
    ['^b', 'a\nb', false],
    ['(?m)^b$', 'a\nb\nc', true],
    ['a.c', 'a\nc', false],
    ['a.c', 'a\rc', true],
    ['(?s)a.c', 'a\nc', true],
    ['(?is)A.C', 'a\nc', true],
    ['(?x) a  b # comment', 'ab', true],
    ['\\Ab', 'a\nb', false],
    ['b\\z', 'b\n', false],
    ['b\\Z', 'b\n', true],
    ['^[[:alpha:]_]+$', 'ab_', true],
    ['^[[:alpha:]]+$', 'ab1', false],
    ['^[[:^digit:]]+$', 'ab-', true],
    ['^[]a]+$', ']a', true],
    ['^[^]a]+$', 'b]', false],
    ['\\x{41}\\x42\\e', 'AB\x1b', true],
    ['a{,2}b', 'aab', true],
    ['^a{b', 'a{b', true],
    ['(a)\\g1\\1', 'aaa', true],
    ["(?'x'a)\\k{x}", 'aa', true],
    ['a(?#comment)b', 'ab', true],
    ['\\h\\R', '\t\r\n', true],
    ['foo|^\\d+\\s', '12 x', true],
    ['100%', '100%', true],
  ];
  for (const [pattern, text, found] of cases) t.equal(finds(pattern, text), found, pattern);
  t.end();
});

t.test('what can not be translated is named', (t) => {
  const cases = ['\\Ka', '\\p{Lu}', '(?R)', '(?|a|b)', '[[:foo:]]', '\\Qa', '(*ACCEPT)'];
  for (const pattern of cases) {
    const problem = translatePerlRegex(pattern);
    t.ok(problem instanceof Problem && /"[^"]+" is not supported$/.test(problem.expected), pattern);
  }
  for (const pattern of ['(', 'a)', '*', '[a', 'a{2,1}', '\\']) {
    t.ok(translatePerlRegex(pattern) instanceof Problem, pattern);
  }
  t.end();
});
