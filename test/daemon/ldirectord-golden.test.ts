/** Exit codes, streams and log of ldirectord's command line as recorded, asked of this program under that name. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { directord } from '../../src/cli/directord.ts';
import { perform } from '../../src/daemon/perform.ts';
import type { Recorded, RecordedAction } from '../monitor/recording.ts';
import { recording } from '../monitor/recording.ts';

const directory = t.testdir();
const config = join(directory, 'ld.cf');
const log = join(directory, 'ld.log');
const runDirectory = join(directory, 'run');
const pidFile = join(runDirectory, 'ldirectord.ld.cf.pid');
const noSuchProcess = '4194305\n';

function writeConfig(...lines: readonly string[]): void {
  writeFileSync(config, [`logfile="${log}"`, ...lines, ''].join('\n'));
}

/** Begins with nothing there. */
function clean(): void {
  for (const path of [config, log, runDirectory]) rmSync(path, { recursive: true, force: true });
  mkdirSync(runDirectory);
}

async function ldirectord(...words: readonly string[]): Promise<Omit<RecordedAction, 'action'>> {
  let [stdout, stderr] = ['', ''];
  const streams = {
    out: (text: string): void => void (stdout += text),
    err: (text: string): void => void (stderr += text),
  };
  const rc = await directord(['node', '/usr/sbin/ldirectord', ...words], {
    streams,
    showManual: () => false,
    performOnHost: () => Promise.reject(new Error('ldirectord has no such command')),
    perform: (invocation) =>
      perform(invocation, {
        streams,
        user: { uid: 0, env: { DIRECTORD_RUN_DIR: runDirectory } },
        detached: false,
        ready: () => undefined,
        exit: (code) => {
          throw new Error(`exit ${code}`);
        },
      }),
  });
  return { rc, stdout: asRecorded(stdout), stderr: asRecorded(stderr) };
}

/** With the paths of the machine that recorded, and without what is different each time. */
function asRecorded(text: string): string {
  return text
    .replaceAll(runDirectory, '/var/run')
    .replaceAll(directory, '/run')
    .replace(/^\[[^|\]]*(\|[^|]*)?(?:\|\d+)?\] /gm, '[DATE$1] ');
}

/** Actions that were recorded in a row, up to the step of that title. */
function actionsBefore(name: string, title: string): readonly RecordedAction[] {
  const records = recording(name);
  const end = records.findIndex((record) => 'step' in record && record.step === title);
  const begin = records.slice(0, end).findLastIndex((record) => 'step' in record) + 1;
  return records.slice(begin, end).filter(isAction);
}

function isAction(record: Recorded): record is RecordedAction {
  return 'action' in record;
}

/** A process that is alive, and whose command line mentions ldirectord. */
async function somebody(): Promise<ChildProcess> {
  const child = spawn('sleep', ['60'], { argv0: '/sbin/init-of-ldirectord', stdio: 'ignore' });
  await once(child, 'spawn');
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

void t.test('without a configuration file', async (t) => {
  clean();
  for (const title of ['actions when stopped', 'stale pid file (no such process)']) {
    for (const { action, ...recorded } of actionsBefore('startstop', title)) {
      t.same(await ldirectord(config, action), recorded, `${action}, ${title}`);
    }
    writeFileSync(pidFile, noSuchProcess);
  }
  t.ok(existsSync(pidFile));
});

void t.test('with no daemon, then with a pid file that it left behind', async (t) => {
  clean();
  writeConfig();
  const actions = actionsBefore('misc-d', 'stale pid file (no such process)');
  // Those before went by other names of the configuration, below /etc/ha.d.
  const first = actions.findIndex(({ stdout }) => stdout.endsWith(' /run/ld.cf\n'));
  t.equal(actions[first - 1]?.stderr, (await ldirectord('zz.cf', 'status')).stderr);
  for (const { action, ...recorded } of actions.slice(first)) {
    const stale = recorded.stderr.includes('stale');
    if (stale) writeFileSync(pidFile, noSuchProcess);
    t.same(await ldirectord(config, action), recorded, `${action}${stale ? ', stale' : ''}`);
  }
  const step = recording('misc-d').find((record) => 'step' in record && record.step.startsWith('stale'));
  const recorded = asRecorded(step !== undefined && 'log' in step ? step.log : '').split('\n');
  t.same(
    asRecorded(readFileSync(log, 'utf8')).split('\n'),
    recorded.filter((line) => line === '' || line.startsWith('[DATE|ld.cf] ')),
  );
});

void t.test('a process that mentions ldirectord counts as the daemon', async (t) => {
  clean();
  writeConfig();
  const { pid = 0 } = await somebody();
  writeFileSync(pidFile, `${pid}\n`);
  const recorded = [
    ...actionsBefore('misc-d', 'pid file names a foreign process'),
    ...actionsBefore('basic', 'status while running').slice(-1),
  ];
  t.equal(recorded.length, 2);
  for (const { action, ...result } of recorded) {
    const stderr = result.stderr.replace(/\d+\n$/, `${pid}\n`);
    t.same(await ldirectord(config, action), { ...result, stderr });
  }
  t.match(asRecorded(readFileSync(log, 'utf8')), /] Exiting from ldirectord status\n$/);
});

void t.test('with supervised=yes the log is on stdout', async (t) => {
  clean();
  writeConfig('supervised=yes');
  const [recorded] = actionsBefore('misc-d', 'supervised: stopped');
  const { stdout, ...result } = await ldirectord(config, 'status');
  t.same(result, { rc: recorded?.rc, stderr: recorded?.stderr });
  t.equal(stdout, asRecorded(recorded?.stdout ?? ''));
});

void t.test('what is not understood', async (t) => {
  const recorded: [readonly string[], string][] = [
    [[], ''],
    [['start', 'extra'], ''],
    [['bogus'], ''],
    [['-x'], 'Unknown option: x\n'],
  ];
  const usage = /^Usage:\n {4}ldirectord \[-d\|--debug] \[--] \[configfile] start \| stop \| restart \|\n/;
  for (const [words, stderr] of recorded) {
    const { stdout, ...result } = await ldirectord(...words);
    t.same(result, { rc: 255, stderr }, words.join(' '));
    t.match(stdout, usage);
  }
});
