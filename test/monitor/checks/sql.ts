/** Helpers of the tests of database checks: a server that says what it is given, and what must be true of every such check. */
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import type { Test } from 'tap';
import type { CheckService } from '../../../src/config/model.ts';
import type { CheckResult } from '../../../src/monitor/check.ts';
import type { CheckerParts } from '../../../src/monitor/checks/ask.ts';
import { systemClock } from '../../../src/util/clock.ts';
import { check, listen } from './loopback.ts';

const common = { type: 'negotiate', login: 'joe', password: 'secret', request: '/SELECT 1' } as const;

/** What the check says of a server that says these bytes at once and, unless it is to stay, nothing more. */
export async function asked(
  t: Test,
  service: CheckService,
  said: Buffer,
  { stays = false, signal = new AbortController().signal } = {},
): Promise<CheckResult> {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => undefined).resume();
    if (stays) socket.write(said);
    else socket.end(said);
  });
  const port = await listen(t, server);
  const result = await check({ ...common, service, port }, {}, signal);
  server.close();
  return result;
}

/** Answers that are cut off or wrong anywhere give a verdict: nothing is thrown out of a callback, nobody waits for more. */
export async function survives(t: Test, service: CheckService, good: Buffer): Promise<void> {
  t.capture(console, 'error');
  for (let at = 0; at < good.length; at += 1) {
    const wrong = Buffer.from(good);
    wrong.writeUInt8(0xff ^ wrong.readUInt8(at), at);
    const results = [await asked(t, service, wrong), await asked(t, service, good.subarray(0, at))];
    if (results.some(({ detail }) => detail === '' || detail.includes('secret')))
      t.fail(`a bad word at byte ${at}`);
    if (results[1]?.up !== false) t.fail(`up after ${at} bytes`);
  }
  t.pass('every byte');
}

/** Of checks that are aborted in the middle nothing is left. */
export async function leavesNothing(t: Test, service: CheckService, said: Buffer): Promise<void> {
  const sockets = new Set<Socket>();
  let abort = new AbortController();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.write(said);
    // what the client says to that, if anything
    socket.once('data', () => {
      abort.abort(new Error('too late'));
    });
  });
  const port = await listen(t, server);
  const once = async (): Promise<void> => {
    abort = new AbortController();
    const result = await check({ ...common, service, port }, {}, abort.signal);
    if (result.detail !== 'too late') t.fail(result.detail);
    while (sockets.size > 0) await setImmediate();
  };
  await once();
  const before = resources();
  for (let i = 0; i < 200; i += 1) await once();
  t.same(resources(), before, 'descriptors and timers are what they were');
}

function resources() {
  const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout');
  return { descriptors: readdirSync('/proc/self/fd').length, timers: timers.length };
}

/** A check without what it needs says so, and asks nobody. */
export async function needsLoginAndRequest(t: Test, service: CheckService): Promise<void> {
  for (const lacking of [{ login: '' }, { request: '/' }, { request: '' }]) {
    const logged: string[] = [];
    const log = (text: string) => logged.push(text);
    t.match(await check({ ...common, service, address: '127.0.0.9', port: 1, ...lacking }, { log }), {
      up: false,
      detail: 'no login or no request',
    });
    t.same(logged, [
      'Error: Must specify a login and request string for MySQL, Oracle and PostgreSQL checks. Not adding 127.0.0.9.',
    ]);
  }
}

/** What `import` rejects with where there is no such package. */
export async function notInstalled(): Promise<never> {
  return Promise.reject(
    Object.assign(new Error("Cannot find package 'x' imported from y"), { code: 'ERR_MODULE_NOT_FOUND' }),
  );
}

/** For checks that are asked directly. */
export const parts: CheckerParts = {
  clock: systemClock,
  ping: () => Promise.reject(new Error('no ping in this test')),
  run: () => Promise.reject(new Error('no command in this test')),
  trust: () => createSecureContext(),
  ftpPassive: true,
  find: () => Promise.resolve(undefined),
  log: () => undefined,
};
