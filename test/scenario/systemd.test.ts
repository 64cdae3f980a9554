/** The built program as a unit of Type=notify, with socat in the manager's place, and the unit file itself. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { waitFor } from '../support/until.ts';
import { Place } from './checks/place.ts';
import { directord, which } from './lab/paths.ts';

const unit = fileURLToPath(new URL('../../packaging/directord.service', import.meta.url));
const skip = which('socat') === undefined ? 'socat is not installed' : false;

void t.test('ready, reloading, ready, stopping; a watchdog; a status line', { skip }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const socket = join(place.directory, 'notify');
  const manager = place.start(['socat', '-u', `UNIX-RECV:${socket}`, '-']);
  await waitFor('the socket', 5, async () => (await place.run(['test', '-S', socket])).code === 0);
  const port = await place.freePort();
  const real = await place.freePort();
  const server = await place.serve(['socat', `TCP-LISTEN:${real},fork,reuseaddr`, 'EXEC:true'], real);
  const config = place.write(
    'ld.cf',
    `logfile="${place.directory}/log"
checkinterval=1
virtual=127.0.0.1:${port}
\treal=127.0.0.1:${real} masq
\treal=127.0.0.1:${await place.freePort()} masq
\tchecktype=connect
\tprotocol=tcp
`,
  );
  const control = join(place.directory, 'control');
  const env = [`NOTIFY_SOCKET=${socket}`, 'WATCHDOG_USEC=600000', `DIRECTORD_RUN_DIR=${place.directory}`];
  const daemon = place.start([
    ...['env', ...env, process.execPath, directord],
    ...['-f', '--engine', 'relay', '--control', control, config, 'start'],
  ]);
  /** What was said so far, or undefined while this is not in it. */
  const heard = (pattern: RegExp): Promise<string> =>
    waitFor(
      String(pattern),
      15,
      () => (pattern.test(manager.stdout) ? manager.stdout : undefined),
      () => `${manager.stdout}\n${daemon.stderr}`,
    );
  // env replaces itself by node
  t.match(
    await heard(/READY=1/),
    new RegExp(`^READY=1\nMAINPID=${daemon.pid}\nSTATUS=1 service, \\d of 2 servers up`),
  );
  await heard(/STATUS=1 service, 1 of 2 servers up/);
  await heard(/(WATCHDOG=1.*){3}/s);

  daemon.kill('SIGHUP');
  const reloaded = await heard(/RELOADING=1[^]*READY=1/);
  const [, micros = '0'] = /RELOADING=1\nMONOTONIC_USEC=(\d+)/.exec(reloaded) ?? [];
  const [uptime = '0'] = readFileSync('/proc/uptime', 'utf8').split(' ');
  t.ok(Number(micros) / 1e6 <= Number(uptime) + 1 && Number(micros) > 0, 'by the clock of the system');

  place.write('ld.cf', 'checktimeout=never\n');
  const before = manager.stdout.length;
  daemon.kill('SIGHUP');
  await waitFor('ready after a file that is refused', 10, () =>
    /RELOADING=1[^]*READY=1/.test(manager.stdout.slice(before)),
  );

  daemon.kill('SIGSTOP');
  const beats = (): number => manager.stdout.split('WATCHDOG=1').length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  const stopped = beats();
  await new Promise((resolve) => setTimeout(resolve, 1200));
  t.equal(beats(), stopped, 'a daemon that hangs sends no watchdog');
  daemon.kill('SIGCONT');
  await waitFor('the watchdog again', 5, () => beats() > stopped);

  const { code } = await daemon.stop();
  t.equal(code, 0);
  t.match(await heard(/STOPPING=1/), /STOPPING=1\nSTATUS=stopping/);
  await server.stop();
});

const analyze = which('systemd-analyze') === undefined ? 'systemd-analyze is not installed' : false;

void t.test('the unit file', { skip: analyze }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const text = readFileSync(unit, 'utf8').replace(/^(Exec\w+=)directord /gm, `$1${directord} `);
  const { stdout, stderr } = await place.run([
    'systemd-analyze',
    'verify',
    place.write('directord.service', text),
  ]);
  // the manual pages may not be installed where the tests run
  const complaints = `${stdout}${stderr}`
    .split('\n')
    .filter((line) => line.startsWith('directord.service') && !line.includes("'man "));
  t.same(complaints, []);
  for (const setting of ['Type=notify', 'NotifyAccess=main', 'WatchdogSec=60']) t.match(text, setting);
});
