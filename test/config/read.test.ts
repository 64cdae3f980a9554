import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { formatDiagnostic } from '../../src/config/diagnostic.ts';
import { findConfiguration, readConfiguration } from '../../src/config/read.ts';
import { fakeNames } from './fake-names.ts';

const options = { names: fakeNames, hostname: 'director' };

async function complaintsOf(file: string): Promise<readonly string[]> {
  const result = await readConfiguration(file, options);
  return (result.ok ? result.warnings : result.diagnostics).map(formatDiagnostic);
}

t.test('the directories of heartbeat come before the name as given', (t) => {
  const dir = t.testdir({ ha: { conf: { 'b.cf': '' }, 'a.cf': '', c: {} }, 'a.cf': '', c: '' });
  const directories = [path.join(dir, 'ha'), path.join(dir, 'ha/conf')];
  const find = (name: string): string | undefined => findConfiguration(name, directories);
  t.equal(find('a.cf'), path.join(dir, 'ha/a.cf'));
  t.equal(find('b.cf'), path.join(dir, 'ha/conf/b.cf'));
  t.equal(find(path.join(dir, 'a.cf')), path.join(dir, 'a.cf'));
  t.equal(find('c'), undefined, 'a directory is no configuration');
  t.end();
});

t.test('files that the configuration names are looked at and not touched', async (t) => {
  const dir = t.testdir({ logs: { 'old.log': 'line\n' }, maintenance: {} });
  const file = path.join(dir, 'ld.cf');
  const complaintsAbout = async (text: string): Promise<readonly string[]> => {
    writeFileSync(file, text);
    return (await complaintsOf(file)).map((line) => line.slice(file.length));
  };
  for (const log of ['new.log', 'old.log']) {
    const text = `logfile="${dir}/logs/${log}"\nmaintenancedir=${dir}/maintenance\n`;
    t.same(await complaintsAbout(text), []);
  }
  t.same(readdirSync(path.join(dir, 'logs')), ['old.log'], 'checking creates no log file');
  const logs = path.join(dir, 'logs');
  t.same(
    await complaintsAbout(
      `logfile="${dir}/none/x.log"\nmaintenancedir=${dir}/none\n` +
        `virtual=7\n    real=10.2.0.11 gate\n    monitorfile=${logs}\n    monitorfile=${file}/x\n`,
    ),
    [
      `:1:9: error: unable to open logfile: ${dir}/none/x.log, expected a file that can be opened for appending`,
      ':2:16: warning: maintenance directory does not exist',
      `:5:17: error: unable to open monitorfile ${logs}: Is a directory, expected a file that can be opened for appending`,
      `:6:17: error: unable to open monitorfile ${file}/x: Not a directory, expected a file that can be opened for appending`,
    ],
  );
});

t.test('a file that can not be read, or is not UTF-8', async (t) => {
  const dir = t.testdir({ 'latin1.cf': Buffer.from('# \xe9\nvirtual=7\n    comment=caf\xe9\n', 'latin1') });
  t.match(await complaintsOf(path.join(dir, 'none.cf')), [
    /can not open file .*none.cf, .*No such file or directory/,
  ]);
  const file = path.join(dir, 'latin1.cf');
  t.ok(readFileSync(file).includes(0xe9));
  const result = await readConfiguration(file, options);
  t.equal(result.ok && result.configuration.virtuals[0]?.comment, 'café');
});
