import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Action } from '../../src/cli/directord-arguments.ts';
import type { ActionContext } from '../../src/daemon/actions.ts';
import { act } from '../../src/daemon/actions.ts';
import { knowsHandOver } from '../../src/daemon/handover.ts';
import { PidFile } from '../../src/daemon/pid-file.ts';

const path = join(t.testdir(), 'ldirectord.ld.cf.pid');

interface Seen {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly log: readonly string[];
  readonly deeds: readonly string[];
}

/** Who is alive, and whether it obeys. */
interface World {
  readonly pid?: string;
  readonly alive?: boolean;
  readonly inForeground?: boolean;
  readonly program?: 'ldirectord';
  readonly refusesKill?: 'EPERM' | 'ESRCH';
  /** The ebpf engine's table is in the kernel; the daemon knows how to leave it there. */
  readonly table?: 'stays' | 'goes';
  readonly startCode?: number;
  /** Pid of the daemon that tells of its services. */
  readonly services?: number;
  readonly json?: boolean;
}

const service = { id: 'tcp:10.1.0.100:80', fallback: undefined, fallbackActive: false, servers: [] };

async function perform(action: Exclude<Action, 'check'>, world: World): Promise<Seen> {
  let alive = world.alive ?? false;
  const pidFile = new PidFile(path, () => (alive ? 'node /usr/sbin/directord ld.cf start' : undefined));
  if (world.pid === undefined) pidFile.remove(4711);
  else writeFileSync(path, world.pid);
  const seen = { out: '', err: '', log: [] as string[], deeds: [] as string[] };
  const note = (line: string): void => void seen.log.push(line);
  const context: ActionContext = {
    invocation: {
      kind: 'action',
      action,
      program: world.program ?? 'directord',
      path: '/usr/sbin/directord',
      config: 'ld.cf',
      words: ['ld.cf', action],
      ignored: [],
      options: {
        debug: false,
        foreground: false,
        engine: 'auto',
        control: undefined,
        monitor: true,
        sysctls: [],
        attach: 'auto',
        connections: undefined,
        mssClamp: false,
        probe: false,
        json: world.json ?? false,
      },
    },
    streams: { out: (text) => (seen.out += text), err: (text) => (seen.err += text) },
    log: { debug: note, info: note, warn: note, error: note },
    pidFile,
    subject: '/run/ld.cf',
    health: () =>
      world.services === undefined
        ? Promise.reject(new Error('nobody answers'))
        : Promise.resolve({ pid: world.services, services: [service] }),
    inForeground: world.inForeground ?? false,
    serve: () => {
      seen.deeds.push('serve');
      return Promise.resolve(0);
    },
    startInBackground: () => {
      seen.deeds.push('start');
      return Promise.resolve(world.startCode ?? 0);
    },
    left: {
      exists: () => world.table !== undefined,
      canStay: (pid) => pid === 4711 && world.table === 'stays',
      clean: () => {
        if (world.table !== undefined) seen.deeds.push('clean');
        return Promise.resolve();
      },
    },
    kill: (pid, signal) => {
      if (world.refusesKill) throw Object.assign(new Error('kill failed'), { code: world.refusesKill });
      seen.deeds.push(`${signal} ${pid}`);
      if (signal === 'SIGHUP') return;
      alive = false;
      pidFile.remove(pid);
    },
  };
  const code = await act(action, context);
  return { code, ...seen };
}

const running: World = { pid: '4711\n', alive: true };
const stopped: World = {};
const stale: World = { pid: '4711\n', alive: false };
const starting = 'Starting Linux Director v1.186-ha as daemon';
const isStopped = 'ldirectord is stopped for /run/ld.cf';

void t.test('actions and exit codes are those of ldirectord', async (t) => {
  const table: [Exclude<Action, 'check'>, World, number, string[], string[]][] = [
    ['start', running, 0, [], []],
    ['start', stopped, 0, ['start'], [starting]],
    ['start', stale, 0, ['start'], [starting]],
    ['start', { inForeground: true }, 0, ['serve'], []],
    ['stop', running, 0, ['SIGTERM 4711'], []],
    ['stop', stopped, 0, [], []],
    ['stop', stale, 0, [], []],
    ['stop', { ...running, refusesKill: 'ESRCH' }, 0, [], []],
    ['restart', running, 0, ['SIGTERM 4711', 'start'], [starting]],
    ['restart', stopped, 0, ['start'], [starting]],
    ['restart', stale, 0, ['start'], [starting]],
    ['try-restart', running, 0, ['SIGTERM 4711', 'start'], [starting]],
    ['try-restart', stopped, 0, [], []],
    ['try-restart', stale, 0, [], []],
    ['restart', { ...running, table: 'stays' }, 0, ['SIGUSR2 4711', 'start'], [starting]],
    ['try-restart', { ...running, table: 'stays' }, 0, ['SIGUSR2 4711', 'start'], [starting]],
    ['restart', { ...running, table: 'goes' }, 0, ['SIGTERM 4711', 'start'], [starting]],
    ['restart', { ...stale, table: 'stays' }, 0, ['start'], [starting]],
    ['stop', { ...running, table: 'stays' }, 0, ['SIGTERM 4711'], []],
    ['stop', { ...stale, table: 'stays' }, 0, ['clean'], []],
    ['stop', { ...stopped, table: 'goes' }, 0, ['clean'], []],
    ['reload', running, 0, ['SIGHUP 4711'], []],
    ['force-reload', running, 0, ['SIGHUP 4711'], []],
  ];
  for (const [action, world, code, deeds, log] of table) {
    t.same(
      await perform(action, world),
      { code, out: '', err: '', deeds, log },
      `${action} ${JSON.stringify(world)}`,
    );
  }
});

void t.test('a restart whose second half fails says what goes on', async (t) => {
  const failed = await perform('restart', { ...running, table: 'stays', startCode: 1 });
  t.equal(failed.code, 1);
  t.match(
    failed.err,
    /^directord: no daemon runs: the kernel goes on forwarding.*'directord ld.cf stop' ends it/,
  );
  t.match(failed.log.at(-1), 'nobody checks health');
  for (const table of [undefined, 'goes'] as const) {
    const world: World = { ...running, startCode: 1, ...(table && { table }) };
    t.match(await perform('restart', world), { code: 1, err: /^$/ });
  }
});

void t.test('who takes the signal that leaves forwarding in place', (t) => {
  const status = (mask: string) => () => `Name:\tnode\nSigIgn:\tffffffffffffffff\nSigCgt:\t${mask}\n`;
  t.ok(knowsHandOver(4711, status('0000000188004e03')));
  t.notOk(knowsHandOver(4711, status('0000000188004603')), 'ldirectord, or whoever else');
  t.notOk(
    knowsHandOver(4711, () => ''),
    'who has ended',
  );
  t.notOk(knowsHandOver(2 ** 30), 'who never was');
  t.end();
});

void t.test('nobody to reload', async (t) => {
  for (const world of [stopped, stale]) {
    t.same(await perform('reload', world), {
      code: 1,
      out: '',
      err: 'directord is stopped for /run/ld.cf\n',
      deeds: [],
      log: [isStopped],
    });
    t.match(await perform('force-reload', { ...world, program: 'ldirectord' }), { code: 1, err: /^$/ });
  }
});

void t.test('status', async (t) => {
  const runs = {
    code: 0,
    out: '',
    err: 'directord for /run/ld.cf is running with pid: 4711\n',
    deeds: [],
    log: ['ldirectord for /run/ld.cf is running with pid: 4711', 'Exiting from ldirectord status'],
  };
  t.same(await perform('status', { ...running, services: 4711 }), {
    ...runs,
    out: '1 service, 0 of 0 servers up\n\n  SERVER  STATE  SINCE  FAILED  NEXT  TOOK  LAST RESULT\ntcp:10.1.0.100:80  0 of 0 up\n',
  });
  t.same(
    await perform('status', running),
    { ...runs, err: `${runs.err}directord: no health of servers: nobody answers\n` },
    'a daemon that cannot be asked runs all the same',
  );
  t.match(await perform('status', { ...running, services: 1 }), {
    code: 0,
    out: '',
    err: /\ndirectord: no health of servers: on the control socket answers pid 1: .*--control\n$/,
  });
  t.same(
    await perform('status', { ...running, services: 4711, program: 'ldirectord' }),
    { ...runs, err: runs.err.replace('directord', 'ldirectord') },
    'under the name ldirectord nothing more',
  );
  const json = await perform('status', { ...running, services: 4711, json: true });
  t.equal(json.err, runs.err);
  t.match(JSON.parse(json.out), { state: 'running', pid: 4711, services: [{ id: 'tcp:10.1.0.100:80' }] });
  t.match(JSON.parse((await perform('status', { ...running, json: true })).out), {
    state: 'running',
    problem: 'nobody answers',
    services: undefined,
  });
  const none = await perform('status', { ...stopped, json: true });
  t.same([none.code, none.err], [3, 'directord is stopped for /run/ld.cf\n']);
  t.same(JSON.parse(none.out), { state: 'stopped', file: '/run/ld.cf' });
  t.same(await perform('status', stopped), {
    code: 3,
    out: 'directord is stopped for /run/ld.cf\n',
    err: '',
    deeds: [],
    log: [],
  });
  t.same(await perform('status', stale), {
    code: 1,
    out: 'directord is stopped for /run/ld.cf\n',
    err: `directord: ldirectord stale pid file ${path} for /run/ld.cf\n`,
    deeds: [],
    log: [`ldirectord stale pid file ${path} for /run/ld.cf`],
  });
});

void t.test("somebody else's daemon", async (t) => {
  for (const action of ['stop', 'reload', 'restart'] as const) {
    const { code, err, deeds } = await perform(action, { ...running, refusesKill: 'EPERM' });
    t.same([code, deeds], [1, []], action);
    t.match(err, /^directord: cannot send SIG(TERM|HUP) to pid 4711: kill failed\n$/);
  }
});
