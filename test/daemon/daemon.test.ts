import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { detachMountsBelow } from '../support/mounts.ts';
import { until } from '../support/until.ts';
import { buildProgram } from './built-program.ts';

/** The others would change this host's network. */
const relay = ['--engine', 'relay'];
const directory = mkdtempSync(join(tmpdir(), 'directord-'));
const program = buildProgram(directory);
const config = join(directory, 'my.cf');
const log = join(directory, 'my.log');
const pidFile = join(directory, 'ldirectord.my.cf.pid');
const env = {
  ...process.env,
  DIRECTORD_RUN_DIR: directory,
  DIRECTORD_CONTROL: join(directory, 'control.sock'),
};

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function begin(...args: string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [program, ...args], { env, cwd: directory });
  let out = '';
  let err = '';
  child.stdout.on('data', (data) => (out += String(data)));
  child.stderr.on('data', (data) => (err += String(data)));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, out, err }));
  return { child, ended };
}

function directord(...args: string[]): Promise<Ended> {
  return begin(...args).ended;
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  const port = await portOf(server);
  server.close();
  return port;
}

const web = createServer((_request, response) => response.end('Test Page'));
const realPort = await portOf(web);
const virtualPort = await freePort();

function writeConfig(...global: string[]): void {
  const section = [
    `virtual=127.0.0.1:${virtualPort}`,
    `    real=127.0.0.1:${realPort} masq`,
    '    service=http',
    '    request="/"',
    '    receive="Test Page"',
    '    scheduler=rr',
    '    protocol=tcp',
  ];
  writeFileSync(config, [`logfile="${log}"`, 'checkinterval=1', ...global, ...section, ''].join('\n'));
}

async function page(): Promise<string> {
  try {
    return await (
      await fetch(`http://127.0.0.1:${virtualPort}/`, { headers: { connection: 'close' } })
    ).text();
  } catch {
    return 'nobody there';
  }
}

function logged(): string {
  return existsSync(log) ? readFileSync(log, 'utf8') : '';
}

t.teardown(() => {
  web.close();
  // After a failure the daemon may still be there.
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0;
  if (pid > 0 && existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL');
  detachMountsBelow(directory);
  rmSync(directory, { recursive: true, force: true });
});

void t.test('a daemon from start to stop', async (t) => {
  writeConfig();
  t.same(await directord(...relay, 'my.cf', 'start'), { code: 0, out: '', err: '' });
  const pid = Number(readFileSync(pidFile, 'utf8'));
  t.match(
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '),
    `${program} my.cf start --engine relay `,
  );
  t.equal(readlinkSync(`/proc/${pid}/cwd`), '/');
  const [, , , session] = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  t.equal(Number(session), pid, 'in a session of its own');
  await until(async () => (await page()) === 'Test Page');

  t.same(
    await directord(...relay, 'my.cf', 'start'),
    { code: 0, out: '', err: '' },
    'a second start does nothing',
  );
  const told = await directord('my.cf', 'status');
  t.same([told.code, told.err], [0, `directord for my.cf is running with pid: ${pid}\n`]);
  t.match(told.out, /^1 service, 1 of 1 server up\n/);
  t.match(told.out, new RegExp(`\n  127.0.0.1:${realPort}  up +\\d\\d:.* 0/1 .*200 OK`));
  t.match(JSON.parse((await directord('my.cf', 'status', '--json')).out), {
    state: 'running',
    pid,
    services: [{ fallback: null, servers: [{ state: 'up', check: { up: true } }] }],
  });

  const other = join(directory, 'other.cf');
  writeFileSync(other, readFileSync(config));
  const second = await directord(...relay, other, 'start');
  t.equal(second.code, 1, 'another daemon on the same control socket');
  t.match(second.err, /^directord: control socket \S+: another directord answers there/);
  t.notOk(existsSync(join(directory, 'ldirectord.other.cf.pid')));

  writeConfig('checktimeout=never');
  const broken = await directord('my.cf', 'reload');
  t.equal(broken.code, 2);
  t.match(broken.err.split('\n'), [
    /^Error \[\d+] reading file my\.cf at line 3: invalid check timeout value$/,
    /^my\.cf:3:\d+: error: invalid check timeout value, expected /,
    '',
  ]);
  process.kill(pid, 'SIGHUP');
  const complaint = `|my.cf|${pid}] Error [${pid}] reading file ${config} at line 3: invalid check timeout value`;
  await until(() => logged().includes(complaint));
  t.equal(await page(), 'Test Page', 'a broken file changes nothing');
  t.equal(Number(readFileSync(pidFile, 'utf8')), pid);

  const newLog = join(directory, 'new.log');
  writeConfig(`logfile="${newLog}"`, 'fork=yes');
  t.equal((await directord('my.cf', 'reload')).code, 0);
  await until(() => existsSync(newLog) && readFileSync(newLog, 'utf8').includes('warning: fork=yes'));
  t.equal(await page(), 'Test Page');

  t.same(await directord('my.cf', 'stop'), { code: 0, out: '', err: '' });
  await until(() => !existsSync(pidFile));
  t.match(readFileSync(newLog, 'utf8'), /Linux Director Daemon terminated on signal: TERM\n$/);
  t.equal(await page(), 'nobody there');
  t.same(await directord('my.cf', 'status'), { code: 3, out: 'directord is stopped for my.cf\n', err: '' });
});

void t.test('in the foreground with -d: the log on stderr, no pid file', async (t) => {
  writeConfig();
  const { child, ended } = begin('-d', ...relay, 'my.cf', 'start');
  t.teardown(() => child.kill('SIGKILL'));
  await until(async () => (await page()) === 'Test Page');
  t.notOk(existsSync(pidFile));
  child.kill('SIGINT');
  const { code, err } = await ended;
  t.equal(code, 0);
  t.match(
    err,
    /^Invoking ldirectord invoked as: \S+ my\.cf start \nStarting Linux Director v1\.186-ha with pid: \d+\n/,
  );
  t.match(err, /\nLinux Director Daemon terminated on signal: INT\n$/);
});

void t.test('what cannot be started says so where it was started', async (t) => {
  writeConfig();
  t.match(await directord('my.cf', 'start', '--engine', 'ebpf', '--sysctl', 'am_drop=1'), {
    code: 1,
    out: '',
    err: /^directord: 'am_drop=1': there is no such setting/,
  });
  t.match(await directord(...relay, 'none.cf', 'start'), {
    code: 1,
    err: /^Config file none\.cf not found\n\(looked for /,
  });
  t.match(
    readFileSync(join(directory, 'ldirectord.log'), 'utf8'),
    /\|none\.cf\|\d+] Exiting with exit_status 1: Config file none\.cf not found\n$/,
  );
  t.notOk(existsSync(pidFile));
});

void t.test('check explains the configuration and starts nothing', async (t) => {
  writeConfig();
  const { code, out, err } = await directord('my.cf', 'check');
  t.same([code, err], [0, '']);
  t.match(out, `TCP  127.0.0.1:${virtualPort} rr\n  -> 127.0.0.1:${realPort} `);
  t.notOk(existsSync(pidFile));
});
