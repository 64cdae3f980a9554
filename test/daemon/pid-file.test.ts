import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { PidFile } from '../../src/daemon/pid-file.ts';
import { daemonName, findPidFile, runDirectory, writableLogFile } from '../../src/daemon/places.ts';

const directory = t.testdir();
const path = join(directory, 'ldirectord.x.cf.pid');
const commandLines = new Map([
  [4711, 'node\0/usr/sbin/directord\0/etc/x.cf\0start\0'],
  [4712, '/usr/bin/perl\0-w\0/usr/sbin/ldirectord\0x.cf\0start\0'],
  [4713, '/sbin/init\0'],
]);
const pidFile = new PidFile(path, (pid) => commandLines.get(pid));

void t.test('who a pid file is about', (t) => {
  t.same(pidFile.read(), { state: 'stopped' }, 'no file');
  const states: [string, object][] = [
    ['4711\n', { state: 'running', pid: 4711 }],
    [' 4712', { state: 'running', pid: 4712 }],
    ['4713\n', { state: 'stale' }],
    ['99999\n', { state: 'stale' }],
    ['', { state: 'stale' }],
    ['junk 4711\n', { state: 'stale' }],
    ['-1\n', { state: 'stale' }],
    ['0\n', { state: 'stale' }],
  ];
  for (const [text, state] of states) {
    writeFileSync(path, text);
    t.same(pidFile.read(), state, JSON.stringify(text));
  }
  const own = new PidFile(path, () => 'directord');
  writeFileSync(path, `${process.pid}\n`);
  t.same(own.read(), { state: 'stale' }, 'left by a container that gave everybody the same pid');
  t.end();
});

void t.test('the real /proc tells a living process from a dead one', (t) => {
  const real = new PidFile(path);
  writeFileSync(path, '1\n');
  t.same(real.read(), { state: 'stale' }, 'pid 1 is no directord');
  writeFileSync(path, '4194305\n');
  t.same(real.read(), { state: 'stale' }, 'beyond the highest pid there is');
  t.end();
});

void t.test('a daemon removes its own pid file only', (t) => {
  pidFile.write(4711);
  t.equal(readFileSync(path, 'utf8'), '4711\n');
  pidFile.remove(4712);
  t.ok(existsSync(path), "a successor's file stays");
  pidFile.remove(4711);
  t.notOk(existsSync(path));
  t.doesNotThrow(() => {
    pidFile.remove(4711);
  });
  t.throws(() => {
    new PidFile('/nonexistent/x.pid').write(1);
  }, /ENOENT/);
  t.end();
});

void t.test('names and places', (t) => {
  t.equal(daemonName('/etc/ha.d/ld.cf', true), 'ld.cf');
  t.equal(daemonName(undefined, true), 'ldirectord');
  t.equal(daemonName('/etc/ha.d/ld.cf', false), 'directord');
  const root = { uid: 0, env: {} };
  t.equal(findPidFile('ld.cf', root).path, '/var/run/ldirectord.ld.cf.pid');
  t.equal(runDirectory({ uid: 0, env: { DIRECTORD_RUN_DIR: directory } }), directory);
  const uid = process.getuid?.() ?? 0;
  t.equal(writableLogFile('/srv/my.log', { uid: 12345, env: {} }), '/srv/my.log');
  t.equal(writableLogFile('/var/log/ldirectord.log', root), '/var/log/ldirectord.log');
  if (uid === 0) {
    t.throws(
      () => runDirectory({ uid: 12345, env: { XDG_RUNTIME_DIR: directory } }),
      /belongs to somebody else/,
    );
  }
  t.end();
});
