/** Every pattern on every text of a table, by the real Perl as ldirectord asks it: `$text =~ /$pattern/`, in bytes. */
import { execFileSync, spawnSync } from 'node:child_process';
import t from 'tap';
import { Problem } from '../../src/config/diagnostic.ts';
import { translatePerlRegex } from '../../src/config/perl-regex.ts';

const perl = `
use strict; no warnings; use JSON::PP;
local $/; my ($patterns, $texts) = @{ decode_json(<STDIN>) };
utf8::encode($_) for @$patterns, @$texts;
print encode_json([ map { my $p = $_; [ map { my $t = $_; my $found = eval { $t =~ /$p/ ? 1 : 0 }; $found } @$texts ] } @$patterns ]);
`;

const texts = [
  ...['', 'a', 'A', 'b', 'ab', 'aab', 'aaa', 'aaab', 'aba', 'abab', 'aabb', 'abc', 'a1', '12', '012', 'x y'],
  ...['a\n', '\n', 'a\nb', 'a\n\n', '\na', 'b\na\n', 'a\r\n', '\r\n', 'a\rb', 'a\tb', ' a ', 'a b', 'a-b'],
  ...['a.c', 'a{b', 'a{2}', 'a{,2}', 'a{1 2}', '$5.00', 'me@host', 'foo/bar', 'C++', '[x]', '^', 'a\\b', ']'],
  ...[
    'Status: OK',
    'status: ok',
    'STATUS: Ok',
    '200 OK',
    '<b>well</b>',
    'QabE',
    'a_b',
    'aBc',
    'x=y',
    '#',
    '~',
  ],
  ...[
    '\u0001',
    '\u0007\u001b\f',
    '\b',
    '\v',
    '\u0000',
    '\u007f',
    'Test Page',
    'a]',
    'b]',
    '-',
    'foo',
    '8',
    '\n\n',
  ],
];

/** Two blanks or more part them. */
const patterns = String.raw`
  a$  ^a$  a\z  a\Z  \Aa  \Ab  ^b  (?m)^b  (?m)a$  (?m)^a$  (?m)^$  ^$  $  \n^  (?m)\n^  (?m)a\n^
  (?m)^\z  (?m)^\n  a$\n  a\Z\n  (?m)\Aa  (?m)a\z  b|a$
  (?i)status  (?i)STATUS: [a-z]+$  (?s)a.b  a.b  (?is)A.B  (?i)(?s)A.B  (?x) a b  (?x)a b #c  (?i:a)b
  (?i:A)b  a(?i)B  a(?i)B|C  (a(?i)B)c  (?i)a(?-i)B  (?i-s:A.B)  (?^:a)  (?i)(?^:A)  (?s-s:a.b)
  (?m-s:^b)  (?n)(a)  (?n)(a)\1  (?x)a\ b  (?x)[ ]  (?x)a (?#c) b  (?x)a + b  (?a)\d  (?p)a
  (?xx)[a b]  (?u)\w  (?l)\w  (?i)[^a]  (?i)[[:upper:]]  (?i)[A-c]  (?i)\x41  (?x)a{2} b  (?x)a +? b
  (?x)a + + b  (?-x)a b  (?i)[\w]B  (?ix) A B  (?#c)a  a(?#c)*b  (?x)\#
  \d  \D  \w  \W  \s  \S  \h  \H  \v  \V  \R  \N  ^\N+$  \bb  a\B  \N{2}  ^\R\n  ^\R$  \R\z  \e  \a
  \f  \x41  \x{41}  \x  \x{}  \x1  \x{ 41 }  \x4g  \o{101}  \101  \012  \0  \01  \60  \cA  \ca  \c[
  \c?  \c@  \_  \y  \/  \#  \Qa.b\E  \Qab  \Uab  \ub  \K  a\Kb  \G  \Ga  \X  \C  \p{Lu}  \pL  \P{Lu}
  \N{U+41}  \b{wb}  \8  \Z*  \  a\  \o{  \x{zz}  \v+$  \h+b  \-  \]  \$  \@
  $5  \$5  me@host  $foo  @foo  a$|b  a$b  $)  (a$)  ${'$'}{foo}  @{foo}  C\+\+  %d  foo/bar
  a{2}  a{2,}  a{2,3}  a{,2}  ^a{,2}b  a{ 1, 2 }b  a{1 2}  a{  a{b  a{}  a{,}  a{2  ^a{0}b  a{2,1}
  a*?b  ^a+?b  a??b  a{1,2}?b  a++b  a++a  a*+a  a?+a  a{1,2}+a  (?:ab)++a  [ab]++b  a**  a+*  *  +a
  (?>a+)b  (?>a+)a  (?>a|ab)c  (?>ab|a)c  (?>a*)*b  (a++)b  (?:a++|b)+$  a|*  (*a)  {3}  a{3}{2}  ^*a
  (?:a?)+b  ^(?:|a)+$  ^(?:a?)*?$  ^(a|ab)(c|bcd)?$  (?:(?:a*)*)*c  (?=a)*b  ^(?:a*?)*b  a+ b  C++
  C+++
  [abc]  [^abc]  []a]  [^]a]  [a-]  [-a]  [a\-b]  [\d-z]  [a-\d]  [z-a]  [[]  [a[b]  [\]]  [\w.]+@
  [[:alpha:]]  [[:^alpha:]]  [[:digit:][:space:]]  [[:punct:]]  [[:word:]]  [[:blank:]]  [[:cntrl:]]
  [[:graph:]]  [[:print:]]  [[:xdigit:]]  [[:upper:]]  [[:lower:]]  [[:alnum:]]  [[:ascii:]]
  [^[:space:]]  [[:foo:]]  [[.a.]]  [[=a=]]  [:alpha:]  [[:alpha:]-z]  [[:alpha]  [[:]  [\b]  [\n]
  [\h]  [\H]  [\v]  [\S\s]  [^\D]  [\1]  [\101]  [\8]  [\x41-\x43]  [\x{61}]  [\cA]  [\e]  [\N]  [\R]
  [\y]  [\Qa]  [a  []  [^]  [$@]  [.]  [a^]  [\^]  [+--]  [!-~]  [\\]  [^\n]+$  [^\s]$  [#]  (?x)[#]
  [|]  [(]  [a&&b]  [a--b]
  (a)\1  (a)(b)\2\1  (a)|b\1  (?:(a)|b)*\1  (?:(a)|(b))+\1  (a)?\1b  (a)*\1  (a+)\1  (a|b)\1  (a\1)
  \1(a)  (a)\g1  (a)\g{1}  (a)\g-1  (a)(b)\g{-2}  (?<x>a)\k<x>  (?'x'a)\k'x'  (?P<x>a)(?P=x)
  (?<x>a)\k{x}  (?<x>a)\g{x}  (a)\2  \1  \k<x>  (?<x>a)|(?<x>b)  (?<1x>a)  (a)\10  (?i)(a)\1
  (?:(a)b)+\1  (?=(a))\1\1  (?!(a))b\1  (?<=(a))\1  (?<=(a)\1)b  (((((((((a)))))))))\10
  ((((((((((a))))))))))\10  (?x)(a)\1 0  (a)(?>\1)  (?>(a)b)\1  (a)++b  (?:(a)|b)\1  (?=a)  a(?=b)
  a(?!b)  (?<=a)b  (?<!a)b  (?<=a|bb)b  (?<=a*)b  (?<=a{1,2})b  (?<=^|a)b  (?<=(?>a))b  (?<!^)a
  (?|a|b)  (?R)  (?1)  (?&x)  (?(1)a|b)  (?{1})  (??{1})  (*ACCEPT)  (*F)  (*pla:a)  (  )  a)  (a  (?a
  (?:  (?=a  ()  (|a)$  a||b  |  (?:)  (?:a|)b  (?<x>)  (?  (?z)  (?i  (?<x  (?-i:a)  (?i-:a)  (?--i)a
  (?)a  (?^)a  (?-)a
  Test Page  OK$  ^\s*OK  200 (OK|Found)  <b>.*</b>  Status:\s+(?i:ok)  (?i)^status:\s+ok$  [Oo][Kk]
  ^220[ -]
`
  .trim()
  .split(/\s{2,}/);

const skip = spawnSync('perl', ['-MJSON::PP', '-e', '1']).status === 0 ? false : 'needs perl';

t.test('every pattern finds what it finds in Perl, or is refused', { skip }, (t) => {
  const answers = askPerl(patterns, texts);
  let compared = 0;
  const refused: string[] = [];
  patterns.forEach((pattern, i) => {
    const regex = translatePerlRegex(pattern);
    if (regex instanceof Problem) {
      if (answers[i]?.[0] !== null) refused.push(pattern);
      return;
    }
    compared += 1;
    const differ = texts.filter((text, j) => answers[i]?.[j] !== Number(regex.test(text)));
    t.same(differ, [], `${pattern} as ${String(regex)}: the same on every text`);
  });
  t.ok(compared > 270, `${compared} patterns on ${texts.length} texts`);
  t.comment(`good in Perl and refused here: ${refused.join('  ')}`);
  t.end();
});

t.test('letters beyond ASCII are themselves, and in no other class than Perl has them', { skip }, (t) => {
  const words = [
    'Grüße',
    'GRÜSSE',
    'grüsse',
    'naïve',
    '日本',
    '\u00a0',
    'ÿ',
    '٣',
    '\ufeff',
    '\u2028',
    'ß',
    'ſ',
    'K',
    'a😀b',
  ];
  const forms = [
    'Grüße',
    '(?i)grüße',
    'r.+e',
    '\\d',
    '^\\w+$',
    'r\\W',
    '\\s',
    '^\\S+$',
    '[[:alpha:]]$',
    '日',
    'a.*b',
    '(?i)s',
    '(?i)k',
    '😀',
  ];
  const answers = askPerl(forms, words);
  forms.forEach((form, i) => {
    const regex = translatePerlRegex(form);
    const found = words.map((word) => (regex instanceof Problem ? 'refused' : Number(regex.test(word))));
    t.same(found, answers[i], form);
  });
  for (const form of ['\\xe4', '[\\xe4]', '\\x{263a}', '\\o{344}', '[\\344]', '[😀]'])
    t.ok(translatePerlRegex(form) instanceof Problem, `${form} is refused`);
  t.end();
});

/** @returns for each pattern and text 1 or 0; null where the pattern is none to Perl */
function askPerl(
  patterns: readonly string[],
  texts: readonly string[],
): readonly (readonly (number | null)[])[] {
  const output = execFileSync('perl', ['-e', perl], {
    input: JSON.stringify([patterns, texts]),
    encoding: 'utf8',
  });
  return JSON.parse(output) as (number | null)[][];
}
