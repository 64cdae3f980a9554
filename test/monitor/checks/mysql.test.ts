import { createServer } from 'node:net';
import t from 'tap';
import { mysqlCheck } from '../../../src/monitor/checks/mysql.ts';
import { checkSettings } from '../../support/configuration.ts';
import { check, freePort } from './loopback.ts';
import { asked, leavesNothing, needsLoginAndRequest, notInstalled, parts, survives } from './sql.ts';

function packet(sequence: number, ...parts: readonly (string | readonly number[])[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))),
  );
  const header = Buffer.alloc(4);
  header.writeUIntLE(body.length, 0, 3);
  header.writeUInt8(sequence, 3);
  return Buffer.concat([header, body]);
}

const zeros = (count: number): readonly number[] => Array<number>(count).fill(0);

/** Protocol 4.1 and secure passwords, without TLS and without plugins. */
const greeting = packet(
  0,
  [10],
  '5.7.1\0',
  [1, 0, 0, 0],
  'scramble',
  [0, 0x00, 0x82, 33, 2, 0, 0, 0, 0],
  zeros(10),
  'scramblemore\0',
);
const ok = (sequence: number) => packet(sequence, [0, 0, 0, 2, 0, 0, 0]);
const end = (sequence: number) => packet(sequence, [0xfe, 0, 0, 2, 0]);
const column = packet(2, [3], 'def', [0, 0, 0, 1], '1', [0, 0x0c, 63, 0, 1, 0, 0, 0, 8, 0x81, 0, 0, 0, 0]);
const rows = (...texts: readonly string[]) =>
  Buffer.concat([
    packet(1, [1]),
    column,
    end(3),
    ...texts.map((text, i) => packet(4 + i, [text.length], text)),
    end(4 + texts.length),
  ]);
const loggedIn = Buffer.concat([greeting, ok(2)]);
const good = Buffer.concat([loggedIn, rows('1')]);

void t.test('up with a row, down without', async (t) => {
  const up = { up: true, detail: 'MySQL 5.7.1: 1 row' };
  t.match(await asked(t, 'mysql', good), up);
  t.match(await asked(t, 'mysql', Buffer.concat([loggedIn, rows('1', '2')])), {
    up: true,
    detail: /: 2 rows$/,
  });
  t.match(await asked(t, 'mysql', Buffer.concat([loggedIn, rows()])), {
    up: false,
    detail: 'MySQL 5.7.1: no row',
  });
  const changed = packet(1, [0, 3, 0, 2, 0, 0, 0]);
  t.match(await asked(t, 'mysql', Buffer.concat([loggedIn, changed])), { up: true, detail: /: 3 rows$/ });
});

void t.test('down, in the words of the server', async (t) => {
  const error = (sequence: number, text: string) => packet(sequence, [0xff, 0x10, 0x04], text);
  const busy = await asked(t, 'mysql', error(0, 'Too many connections'));
  t.match(busy, { up: false, detail: 'Too many connections' });
  const denied = await asked(t, 'mysql', Buffer.concat([greeting, error(2, '#28000Access denied')]));
  t.match(denied, { up: false, detail: 'Access denied' });
  const broken = await asked(t, 'mysql', Buffer.concat([loggedIn, error(1, '#42000Syntax')]));
  t.match(broken, { up: false, detail: 'Syntax' });
  const port = await freePort(t, createServer());
  const refused = await check({ type: 'negotiate', service: 'mysql', login: 'a', request: '/b', port });
  t.match(refused, { up: false, detail: 'Connection refused' });
});

void t.test('down, of what is no MySQL', async (t) => {
  const silent = await asked(t, 'mysql', Buffer.alloc(0));
  t.match(silent, { up: false, detail: 'closed the connection' });
  const mail = await asked(t, 'mysql', Buffer.from('220 mail ESMTP\r\n'), { stays: true });
  t.match(mail, { up: false, detail: 'no MySQL: what it says first is not a greeting' });
  const file = packet(1, [0xfb], '/etc/passwd');
  t.match(
    await asked(t, 'mysql', Buffer.concat([loggedIn, file])),
    { up: false },
    'no file for whoever asks for one',
  );
});

void t.test('reads no more than it should', async (t) => {
  const row = packet(4, [0xfd, 0xf0, 0xff, 0x0f], 'x'.repeat(0x0ffff0));
  const endless = Buffer.concat([loggedIn, packet(1, [1]), column, end(3), ...Array<Buffer>(12).fill(row)]);
  t.capture(console, 'error');
  t.match(await asked(t, 'mysql', endless, { stays: true }), { up: false, detail: /^more than \d+ bytes/ });
});

void t.test('survives every wrong byte', (t) => survives(t, 'mysql', good));
void t.test('leaves nothing behind', (t) => leavesNothing(t, 'mysql', greeting));
void t.test('needs login and request', (t) => needsLoginAndRequest(t, 'mysql'));

void t.test('a library that is missing', async (t) => {
  const settings = checkSettings({ service: 'mysql', login: 'joe', request: '/SELECT 1' });
  const { signal } = new AbortController();
  t.match(await mysqlCheck(notInstalled)(settings, signal, parts), {
    up: false,
    detail: 'the mysql check needs the npm package mysql2, which is not installed',
  });
  const broken = () => Promise.reject(new Error('bad magic'));
  t.match(await mysqlCheck(broken)(settings, signal, parts), {
    up: false,
    detail: 'the mysql check needs the npm package mysql2, which cannot be loaded (bad magic)',
  });
});
