import t from 'tap';
import {
  childControl,
  childLine,
  childName,
  Children,
  tellChildrenStatus,
} from '../../src/daemon/children.ts';
import type { RunState } from '../../src/daemon/pid-file.ts';
import { FakeClock, settle } from '../monitor/fake-clock.ts';

/** Which actions fail, such as `b.cf reload`, and what does not come to its end. */
function family(fails: readonly string[] = [], hangs: readonly string[] = []) {
  const clock = new FakeClock();
  const told: string[] = [];
  const log: string[] = [];
  const running = new Set<string>();
  const children = new Children({
    program: ['/opt/my node', '/usr/sbin/directord'],
    control: '/run/directord/control.sock',
    name: 'own.cf',
    clock,
    pidFile: (name): { read(): RunState } => ({
      read: () => (running.has(name) ? { state: 'running', pid: 4711 } : { state: 'stopped' }),
    }),
    shell: async (line) => {
      const said = line.split(' ').slice(-2).join(' ');
      told.push(said);
      if (hangs.includes(said)) await new Promise(() => undefined);
      await settle();
      const status = fails.includes(said) ? 1 : 0;
      return { status, detail: `exit status ${status}` };
    },
    log: (message) => log.push(message),
  });
  return { children, clock, told, log, running, take: () => told.splice(0).sort() };
}

void t.test('how a child is called', (t) => {
  const command = {
    program: ['/opt/my node', '/usr/sbin/directord', '--engine', 'relay'],
    control: '/run/directord/control.sock',
    name: 'own.cf',
    pidFile: () => ({ read: (): RunState => ({ state: 'stopped' }) }),
  };
  t.equal(
    childLine(command, 'b.cf', 'start'),
    "'/opt/my node' /usr/sbin/directord --engine relay --control /run/directord/execute/b.cf/control.sock b.cf start",
  );
  t.equal(childName('"/etc/other dir/b.cf"'), 'b.cf');
  t.equal(childName('-d /etc/b.cf'), 'b.cf');
  t.equal(childControl('/run/d/control.sock', "'/x/b c$(id).cf'"), '/run/d/execute/c__id_.cf/control.sock');
  t.end();
});

void t.test('start, reload and stop, each child by itself', async (t) => {
  const { children, take, running, clock } = family(['c.cf reload']);
  children.start(['a.cf', 'c.cf']);
  await settle();
  t.same(take(), ['a.cf start', 'c.cf start']);
  await settle();
  children.reload(['b.cf', 'c.cf']);
  for (let turn = 0; turn < 5; turn += 1) await settle();
  t.same(
    take(),
    ['a.cf stop', 'b.cf start', 'c.cf reload', 'c.cf start'],
    'one that cannot reload is started',
  );

  running.add('b.cf');
  let ended = false;
  const stopped = children.stop().then(() => (ended = true));
  for (let turn = 0; turn < 5; turn += 1) await settle();
  t.same(take(), ['b.cf stop', 'c.cf stop']);
  await clock.advance(3000);
  t.notOk(ended, 'a child that cleans up is waited for');
  running.clear();
  await clock.advance(100);
  await stopped;
});

void t.test('what does not end is not waited for for ever', async (t) => {
  const { children, take, running, log, clock } = family(['b.cf stop'], ['a.cf start']);
  children.start(['a.cf', 'b.cf', 'own.cf', '/etc/own.cf']);
  running.add('b.cf');
  await settle();
  t.same(take(), ['a.cf start', 'b.cf start']);
  t.match(log.splice(0), [/^execute=own\.cf is this configuration itself/, /^execute=\/etc\/own\.cf is/]);
  const stopped = children.stop();
  await clock.advance(10_000);
  await stopped;
  t.match(log.sort(), [
    'execute=b.cf still runs after 10 s',
    /^system\(.* b\.cf stop\) failed: exit status 1$/,
  ]);
});

void t.test('status: what each says goes where it said it', async (t) => {
  const said = { out: '', err: '' };
  const command = {
    program: ['sh', '-c', 'echo "$2 $3 $4"; echo "$1" >&2', 'sh'],
    control: '/run/d/control.sock',
    name: 'own.cf',
    pidFile: () => ({ read: (): RunState => ({ state: 'stopped' }) }),
  };
  await tellChildrenStatus(command, ['b.cf', 'own.cf'], {
    out: (text) => (said.out += text),
    err: (text) => (said.err += text),
  });
  t.same(said, { out: '/run/d/execute/b.cf/control.sock b.cf status\n', err: '--control\n' });
});
