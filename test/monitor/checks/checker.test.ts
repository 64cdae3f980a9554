import t from 'tap';
import type { CommandResult } from '../../../src/monitor/command.ts';
import { CheckTimeout } from '../../../src/monitor/check.ts';
import { check } from './loopback.ts';

const external = {
  type: 'external',
  command: '/usr/lib/check-it  --fast\t-v',
  virtualAddress: '7',
  virtualPort: 0,
  address: '10.2.0.11',
  realPort: 8080,
} as const;

void t.test('external: words, then the four arguments; the exit status decides', async (t) => {
  const lines: string[] = [];
  const ends = (result: CommandResult) => ({
    run: (file: string, args: readonly string[]) => {
      lines.push([file, ...args].join(' '));
      return Promise.resolve(result);
    },
  });
  t.match(await check(external, ends({ status: 0, detail: 'exit status 0' })), {
    up: true,
    detail: 'exit status 0',
  });
  t.match(await check(external, ends({ status: 3, detail: 'exit status 3' })), {
    up: false,
    detail: 'exit status 3',
  });
  const killed = { status: undefined, detail: 'killed by SIGSEGV' };
  t.match(await check(external, ends(killed)), { up: false, detail: 'killed by SIGSEGV' });
  await check({ ...external, type: 'external-perl' }, ends({ status: 0, detail: '' }));
  const line = '/usr/lib/check-it --fast -v 7 0 10.2.0.11 8080';
  t.same(lines, [line, line, line, `perl ${line}`]);
  t.match(await check({ ...external, command: ' ' }), { up: false, detail: 'no check command' });
});

void t.test('external: a missing program and a timeout are logged as ldirectord does', async (t) => {
  const log: string[] = [];
  const parts = { log: (message: string) => log.push(message) };
  const missing: CommandResult = {
    status: undefined,
    detail: 'not started',
    startError: 'No such file or directory',
  };
  t.match(await check(external, { ...parts, run: () => Promise.resolve(missing) }), {
    up: false,
    detail: 'No such file or directory',
  });
  const abort = new AbortController();
  const run = () => {
    abort.abort(new CheckTimeout(5));
    return Promise.resolve({ status: undefined, detail: 'killed by SIGTERM' });
  };
  t.match(await check(external, { ...parts, run }, abort.signal), {
    up: false,
    detail: 'timed out after 5 s',
  });
  const line = '/usr/lib/check-it --fast -v 7 0 10.2.0.11 8080';
  t.same(log, [
    `Exiting with exit_status 127: exec(${line}) failed: No such file or directory`,
    `system_timeout(5, ${line}) timed out, kill -TERM child`,
  ]);
});

void t.test('ping, and connect over udp, which is a ping', async (t) => {
  const asked: unknown[] = [];
  const ping = (...[address, attempts]: [string, unknown, AbortSignal]) => {
    asked.push([address, attempts]);
    return address === '10.2.0.11' ? Promise.resolve() : Promise.reject(new Error('unreachable'));
  };
  const settings = { address: '10.2.0.11', checkcount: 3, checktimeout: 2 };
  t.match(await check({ ...settings, type: 'ping' }, { ping }), { up: true });
  t.match(await check({ ...settings, type: 'connect', protocol: 'udp' }, { ping }), { up: true });
  t.match(await check({ ...settings, type: 'ping', address: '10.2.0.12' }, { ping }), {
    up: false,
    detail: 'unreachable',
  });
  t.same(asked[0], ['10.2.0.11', { count: 3, milliseconds: 2000 }]);
});

void t.test('none and on are up; an aborted check asks nobody', async (t) => {
  t.match(await check({ type: 'negotiate', service: 'none' }), { up: true });
  t.match(await check({ type: 'on' }), { up: true });
  t.match(await check({ type: 'off' }), { up: false });
  t.match(await check({ type: 'on' }, {}, AbortSignal.abort(new Error('too late'))), {
    up: false,
    detail: 'too late',
  });
});
