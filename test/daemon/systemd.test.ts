/** What a daemon tells its service manager, which is socat here: over a path and over an abstract socket. */
import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import { Supervision } from '../../src/daemon/supervision.ts';
import type { ServerCondition, ServiceHealth } from '../../src/observe/health.ts';
import { serviceManager } from '../../src/platform/systemd.ts';
import { systemClock } from '../../src/util/clock.ts';
import { FakeClock } from '../monitor/fake-clock.ts';
import { until } from '../support/until.ts';

const directory = mkdtempSync(join(tmpdir(), 'notify-'));
t.teardown(() => {
  rmSync(directory, { recursive: true });
});
const skip = spawnSync('socat', ['-V']).status === 0 ? false : 'socat is not installed';

let sockets = 0;

/** Binds the socket. @returns what came through it: datagrams, one after the other */
async function listen(t: Test, kind: 'path' | 'abstract'): Promise<{ name: string; heard: () => string }> {
  const path = join(directory, `s${++sockets}`);
  const file = `${path}.heard`;
  const output = openSync(file, 'w');
  const address = kind === 'path' ? `UNIX-RECV:${path}` : `ABSTRACT-RECV:${path}`;
  const socat: ChildProcess = spawn('socat', ['-u', address, '-'], { stdio: ['ignore', output, 'inherit'] });
  closeSync(output);
  t.teardown(async () => {
    socat.kill();
    if (socat.exitCode === null && socat.signalCode === null) await once(socat, 'exit');
  });
  await until(() =>
    kind === 'path' ? existsSync(path) : readFileSync('/proc/net/unix', 'utf8').includes(`@${path}`),
  );
  return { name: kind === 'path' ? path : `@${path}`, heard: () => readFileSync(file, 'utf8') };
}

const fail = (message: string): never => {
  throw new Error(message);
};

void t.test('datagrams arrive by path and by abstract name', { skip }, async (t) => {
  for (const kind of ['path', 'abstract'] as const) {
    const { name, heard } = await listen(t, kind);
    const env = { NOTIFY_SOCKET: name, WATCHDOG_USEC: '3000000', WATCHDOG_PID: '17', OTHER: 'stays' };
    const manager = await serviceManager({ env, pid: 17, problem: fail });
    t.same(env, { OTHER: 'stays' }, 'the programs of checks do not hear of it');
    t.equal(manager?.watchdog, 3000);
    manager?.notify('READY=1', 'STATUS=naïve\n');
    await until(() => heard() === 'READY=1\nSTATUS=naïve\n');
    manager?.close();
    t.pass(kind);
  }
});

void t.test('whom nobody supervises, or not this process', async (t) => {
  t.equal(await serviceManager({ env: {}, pid: 17, problem: fail }), undefined);
  for (const [WATCHDOG_USEC, WATCHDOG_PID] of [
    ['3000000', '18'],
    ['0', '17'],
    ['often', ''],
  ]) {
    const env = { NOTIFY_SOCKET: join(directory, 'none'), WATCHDOG_USEC, WATCHDOG_PID };
    const manager = await serviceManager({ env, pid: 17, problem: fail });
    t.equal(manager?.watchdog, undefined, `${WATCHDOG_USEC ?? ''} ${WATCHDOG_PID ?? ''}`);
    manager?.close();
  }
});

void t.test('a manager that is not there is complained of once, and stops nobody', async (t) => {
  const problems: string[] = [];
  const parts = { pid: 17, problem: (message: string) => void problems.push(message) };
  const gone = join(directory, 'gone');
  const manager = await serviceManager({ env: { NOTIFY_SOCKET: gone }, ...parts });
  manager?.notify('READY=1');
  manager?.notify('WATCHDOG=1');
  manager?.close();
  t.same(problems, [`the service manager on ${gone} cannot be told: errno 2`]);
  for (const NOTIFY_SOCKET of ['vsock:2:1234', `/${'x'.repeat(200)}`, 'relative'])
    t.equal(await serviceManager({ env: { NOTIFY_SOCKET }, ...parts }), undefined);
  t.equal(problems.length, 4);
});

function health(...states: ServerCondition[]): readonly ServiceHealth[] {
  const servers = states.map((state) => ({
    name: '10.2.0.11:80',
    state,
    stateFor: 0,
    dampedFor: undefined,
    failures: 0,
    failurecount: 1,
    check: undefined,
    nextCheck: 0,
  }));
  return [{ id: 'tcp:10.1.0.100:80', fallback: undefined, fallbackActive: false, servers }];
}

void t.test('the life of a daemon, as its manager hears it', async (t) => {
  const clock = new FakeClock();
  const heard: string[][] = [];
  let services = health('up', 'unchecked');
  const supervision = new Supervision({
    manager: { notify: (...words) => heard.push([...words]), watchdog: 10_000, close: () => heard.push([]) },
    clock,
    health: () => services,
    monotonic: () => 123_456n,
  });
  const news = () => heard.splice(0);
  supervision.ready();
  t.same(news(), [['READY=1', `MAINPID=${process.pid}`, 'STATUS=1 service, 1 of 2 servers up']]);
  await clock.advance(4000);
  t.same(news(), [], 'no news');
  services = health('up', 'up');
  await clock.advance(2000);
  t.same(news(), [['WATCHDOG=1'], ['STATUS=1 service, 2 of 2 servers up']]);

  let done: (() => void) | undefined;
  const first = supervision.reloading(new Promise((resolve) => (done = resolve)));
  const second = supervision.reloading(Promise.resolve());
  t.same(news()[0], ['RELOADING=1', 'MONOTONIC_USEC=123456', 'STATUS=reloading']);
  await second;
  news();
  await clock.advance(4000);
  t.same(news(), [['WATCHDOG=1']], 'ready only when the last one is done');
  done?.();
  await first;
  t.same(news(), [['READY=1', 'STATUS=1 service, 2 of 2 servers up']]);

  supervision.stopping();
  services = health('down');
  await clock.advance(5000);
  t.same(news(), [['STOPPING=1', 'STATUS=stopping'], ['WATCHDOG=1']]);
  supervision.end();
  t.equal(clock.timers, 0);
  t.same(news(), [[]]);
});

void t.test('an event loop that hangs sends no watchdog', { skip }, async (t) => {
  const { name, heard } = await listen(t, 'path');
  const env = { NOTIFY_SOCKET: name, WATCHDOG_USEC: '40000' };
  const manager = await serviceManager({ env, pid: 17, problem: fail });
  const supervision = new Supervision({
    manager,
    clock: systemClock,
    health: () => [],
    monotonic: () => 0n,
  });
  const beats = (): number => heard().split('WATCHDOG=1').length - 1;
  supervision.ready();
  await until(() => beats() >= 3);
  const before = beats();
  const hangsUntil = performance.now() + 500;
  while (performance.now() < hangsUntil);
  // one may have been on its way
  t.ok(beats() <= before + 1, `${beats() - before} while it hung`);
  await until(() => beats() > before + 3);
  supervision.end();
});
