import t from 'tap';
import { formatAsLdirectord, formatDiagnostic } from '../../src/config/diagnostic.ts';
import { complaints, parse } from './parse-helpers.ts';

const section = 'virtual=10.1.0.100:80\n    real=10.2.0.11:80 gate\n';

t.test('a mistake is shown with its place and what would have been right', async (t) => {
  t.same(await complaints('checktimeout=soon\n'), [
    'ld.cf:1:14: error: invalid check timeout value, expected a whole number of seconds, 1 or more',
  ]);
  t.same(await complaints(`${section}\tquiescent=no # yes\n`), [
    `ld.cf:3:12: error: quiescent must be 'yes' or 'no', expected nothing after "no", not even a blank or a comment`,
  ]);
  t.same(await complaints(`${section}    request=index.html\n`), [
    'ld.cf:3:5: error: Unknown command "    request=index.html", expected the value in double quotes',
  ]);
  t.same(await complaints('virtual=10.1.0.100:80\n    real=10.2.0.11:80 GATE\n'), [
    'ld.cf:2:22: error: forward method must be gate, masq or ipip, expected "gate" in lower case',
  ]);
  t.same(await complaints('virtual=10.1.0.100:80\n    real=10.2.0.11->13:80 gate\n'), [
    'ld.cf:2:10: error: Invalid Range: 10.2.0.11-0.0.0.13: First value must be greater than or equal to the second value, ' +
      'expected the lower address first, both in full, such as 10.2.0.11->10.2.0.13',
  ]);
  t.match(await complaints(`${section}    receive="(?R)"\n`), [
    /3:13: error: invalid receive string, .*"\(\?R\)"/,
  ]);
});

t.test('a slip in a keyword or its place is named', async (t) => {
  t.match(await complaints('chektimeout=3\n'), [/Unknown command chektimeout=3, expected "checktimeout"/]);
  t.match(await complaints('Virtual=10.1.0.100:80\n'), [/expected "virtual"/]);
  t.match(await complaints(`${section}    persistant=60\n`), [/3:5: .*expected "persistent"/]);
  t.match(await complaints(`${section}    readdquiescent=yes\n`), [/expected .*it is global only/]);
  t.match(await complaints('scheduler=rr\n'), [/1:1: .*expected four blanks before "scheduler"/]);
  t.match(await complaints(' virtual=10.1.0.100:80\n'), [/expected virtual= at the beginning of the line/]);
});

t.test('one slip is one error', async (t) => {
  const afterBlank = await complaints(`${section}\n    service=http\n    scheduler=rr\n`);
  t.equal(afterBlank.length, 1, 'a blank line in a section');
  t.match(afterBlank[0], /ld.cf:4:1: .*expected no blank line within a section: line 3 is blank/);
  const badHead = await complaints('virtual=!\n    real=10.2.0.11:80 gate\n    service=http\n');
  t.equal(badHead.length, 1, 'a bad virtual= line');
  const tooFew = await complaints('virtual=10.1.0.100:80\n   real=10.2.0.11:80 gate\n   service=http\n');
  t.equal(tooFew.length, 1, 'three blanks');
});

t.test('every mistake of a file is shown, first the one at which ldirectord stops', async (t) => {
  const found = await complaints(
    'checktimeout=0\nvirtual=10.1.0.100:80\n    real=nosuch:80 gate\n    service=htpp\n\nfork=1\n',
  );
  t.equal(found.length, 4);
  t.same(
    found.map((line) => line.split(':')[1]),
    ['1', '4', '3', '6'],
  );
});

t.test('a section without a body at the end of the file says what is missing', async (t) => {
  t.same(await complaints('virtual=10.1.0.100:80\n'), [
    'ld.cf:1:1: error: duplicate virtual server, expected a real= line below virtual=, which is the last line of the file',
  ]);
  t.match(await complaints(`${section}${section}`), [/4:1: .*it stands at line 1 and again at line 3/]);
});

t.test('log and stderr keep the form of ldirectord', async (t) => {
  const result = await parse('checktimeout=0\n');
  const [diagnostic] = result.ok ? [] : result.diagnostics;
  if (diagnostic === undefined) throw new Error('no diagnostic');
  t.equal(
    formatAsLdirectord(diagnostic, 42),
    'Error [42] reading file ld.cf at line 1: invalid check timeout value',
  );
  const everywhere = { severity: 'warning', file: 'ld.cf', message: 'no place' } as const;
  t.equal(formatAsLdirectord(everywhere, 42), 'Warning [42]: no place');
  t.equal(formatDiagnostic(everywhere), 'ld.cf: warning: no place');
});
