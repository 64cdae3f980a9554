import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import t from 'tap';
import { commandRunner, runShell } from '../../src/platform/run-command.ts';
import { systemClock } from '../../src/util/clock.ts';
import { FakeClock } from '../monitor/fake-clock.ts';

const never = new AbortController().signal;

void t.test('how a program ended', async (t) => {
  const run = commandRunner(systemClock);
  t.same(await run('/bin/true', [], never), { status: 0, detail: 'exit status 0' });
  t.same(await run('/bin/sh', ['-c', 'exit 3'], never), { status: 3, detail: 'exit status 3' });
  t.same(await run('/bin/sh', ['-c', 'kill -SEGV $$'], never), {
    status: undefined,
    detail: 'killed by SIGSEGV',
  });
  t.match(await run('/nonexistent/check', [], never), {
    status: undefined,
    startError: 'No such file or directory',
  });
  t.match(await run('/etc/passwd', [], never), { status: undefined, startError: 'Permission denied' });
  t.match(await run('/bin/true', ['\0'], never), { status: undefined, startError: /null bytes/ });
  t.match(await run('/bin/true', [], AbortSignal.abort()), { status: undefined, detail: 'not started' });
});

void t.test('arguments reach the program as they are; a shell line goes through the shell', async (t) => {
  const run = commandRunner(systemClock);
  const nasty = '$HOME; exit 9 "';
  t.match(await run('/bin/sh', ['-c', 'test "$1" = \'$HOME; exit 9 "\'', 'sh', nasty], never), { status: 0 });
  t.match(await runShell('test "$HOME" != \'$HOME\' && exit 4'), { status: 4 });
  t.match(await runShell('/nonexistent/page "us"'), { status: 127 });
});

/** A bash script that holds a connection to us while any of its processes lives: what it says runs once it is up. */
async function connected(
  t: { teardown(end: () => unknown): void },
  script: (connect: string) => string,
  clock: FakeClock,
  abort: AbortController,
) {
  const server = createServer();
  t.teardown(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connection = once(server, 'connection') as Promise<[Socket]>;
  const result = commandRunner(clock)(
    '/bin/bash',
    ['-c', script(`exec 3<>/dev/tcp/127.0.0.1/${port}`)],
    abort.signal,
  );
  const [socket] = await connection;
  // Whoever is killed with data unread resets the connection; that is as good an end as any.
  socket.on('error', () => undefined).resume();
  return { result, gone: once(socket, 'close') };
}

void t.test('on abort the program gets TERM', async (t) => {
  const [clock, abort] = [new FakeClock(), new AbortController()];
  const { result, gone } = await connected(t, (connect) => `${connect}; exec sleep 1000`, clock, abort);
  abort.abort();
  t.same(await result, { status: undefined, detail: 'killed by SIGTERM' });
  await gone;
  t.equal(clock.timers, 0);
});

void t.test('a program that ignores TERM gets KILL a second later', async (t) => {
  const [clock, abort] = [new FakeClock(), new AbortController()];
  const script = (connect: string) => `trap "" TERM; ${connect}; sleep 1000; sleep 1000`;
  const { result, gone } = await connected(t, script, clock, abort);
  abort.abort();
  await clock.advance(999);
  t.equal(clock.timers, 1, 'it has its second');
  await clock.advance(1);
  t.same(await result, { status: undefined, detail: 'killed by SIGKILL' });
  await gone;
});

void t.test('children that ignore TERM do not outlive the program', async (t) => {
  const [clock, abort] = [new FakeClock(), new AbortController()];
  const script = (connect: string) => `(trap "" TERM; ${connect}; sleep 1000; sleep 1000) & wait`;
  const { result, gone } = await connected(t, script, clock, abort);
  abort.abort();
  t.same(await result, { status: undefined, detail: 'killed by SIGTERM' });
  await gone;
  t.pass('every process of the group has ended');
});
