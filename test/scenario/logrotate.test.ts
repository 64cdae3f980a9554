/** packaging/logrotate with the real logrotate: the log is rotated while the daemon writes, and no line is lost. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { waitFor } from '../support/until.ts';
import { Place } from './checks/place.ts';
import { directord, which } from './lab/paths.ts';

const rules = fileURLToPath(new URL('../../packaging/logrotate', import.meta.url));
const missing = ['logrotate', 'socat'].filter((program) => which(program) === undefined);
const skip = missing.length > 0 ? `not installed: ${missing.join(' ')}` : false;

void t.test('lines go on in the new file, and none is lost', { skip }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const log = join(place.directory, 'ldirectord.log');
  const config = place.write(
    'ld.cf',
    `logfile="${log}"\nvirtual=127.0.0.1:${await place.freePort()}\n\tprotocol=tcp\n`,
  );
  // Tells of every reload, which is a line: how many there have to be is known without the log.
  const socket = join(place.directory, 'notify');
  const manager = place.start(['socat', '-u', `UNIX-RECV:${socket}`, '-']);
  await waitFor('the socket', 5, () => existsSync(socket));
  const written = (): number => manager.stdout.split('RELOADING=1').length - 1;
  const env = ['env', `DIRECTORD_RUN_DIR=${place.directory}`, `NOTIFY_SOCKET=${socket}`];
  const daemon = place.start([
    ...[...env, process.execPath, directord],
    ...['-f', '--engine', 'relay', '--control', join(place.directory, 'control'), config, 'start'],
  ]);
  const textOf = (path: string): string =>
    path.endsWith('.gz') ? gunzipSync(readFileSync(path)).toString() : readFileSync(path, 'utf8');
  const files = (): string[] =>
    readdirSync(place.directory).filter((name) => name.startsWith('ldirectord.log'));
  const reloads = (name: string): number =>
    textOf(join(place.directory, name)).split('Reloading Linux Director Daemon').length - 1;
  const reloadsInAll = (): number => files().reduce((sum, name) => sum + reloads(name), 0);
  await waitFor('the daemon', 15, () => files().length > 0 && /Added virtual/.test(textOf(log)));

  const own = place.write(
    'logrotate.conf',
    readFileSync(rules, 'utf8').replace('/var/log/ldirectord.log', log),
  );
  const rotate = ['logrotate', '--force', '--state', join(place.directory, 'state'), own];
  const reload = async (): Promise<void> => {
    const before = written();
    daemon.kill('SIGHUP');
    await waitFor('a reload', 10, () => written() > before);
  };
  for (let round = 1; round <= 3; round++) {
    const before = written();
    const rotating = place.run(rotate);
    const ended = rotating.then(() => true);
    while (!(await Promise.race([ended, reload().then(() => false)])));
    const { code, stderr } = await rotating;
    t.same([code, stderr], [0, ''], 'logrotate is content with the rules');
    t.comment(`${written() - before} lines meanwhile`);
    await reload();
    await waitFor(
      'the new file',
      10,
      () => files().includes('ldirectord.log') && reloads('ldirectord.log') > 0,
    );
  }
  await reload();
  await waitFor('every line', 5, () => reloadsInAll() >= written());
  t.equal(reloadsInAll(), written(), `all ${written()} lines are there, each once`);
  t.same(
    files().sort(),
    ['ldirectord.log', 'ldirectord.log.1', 'ldirectord.log.2.gz', 'ldirectord.log.3.gz'],
    'old ones are kept, compressed but for the last',
  );
  const { code } = await daemon.stop();
  t.equal(code, 0);
  t.match(textOf(log), /terminated on signal: TERM\n$/);
});
