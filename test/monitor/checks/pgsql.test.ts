import { createServer } from 'node:net';
import t from 'tap';
import { check, freePort } from './loopback.ts';
import { asked, leavesNothing, needsLoginAndRequest, survives } from './sql.ts';

function message(type: string, ...parts: readonly (string | readonly number[])[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
}

const noTls = Buffer.from('N');
const ready = message('Z', 'I');
const loggedIn = Buffer.concat([
  noTls,
  message('R', [0, 0, 0, 0]),
  message('S', 'server_version\0', '15.4\0'),
  message('K', [0, 0, 0, 1, 0, 0, 0, 2]),
  ready,
]);
const columns = message(
  'T',
  [0, 1],
  'a\0',
  [0, 0, 0, 0, 0, 0, 0, 0, 0, 23, 0, 4, 0xff, 0xff, 0xff, 0xff, 0, 0],
);
const row = message('D', [0, 1, 0, 0, 0, 1], '7');
const good = Buffer.concat([loggedIn, columns, row, message('C', 'SELECT 1\0'), ready]);
const error = (text: string) => message('E', 'SFATAL\0', 'C28P01\0', `M${text}\0`, '\0');

void t.test('up with a row, down without', async (t) => {
  t.match(await asked(t, 'pgsql', good), { up: true, detail: 'PostgreSQL 15.4: 1 row' });
  const none = Buffer.concat([loggedIn, columns, message('C', 'SELECT 0\0'), ready]);
  t.match(await asked(t, 'pgsql', none), { up: false, detail: 'PostgreSQL 15.4: no row' });
  const changed = Buffer.concat([loggedIn, message('C', 'UPDATE 3\0'), ready]);
  t.match(await asked(t, 'pgsql', changed), { up: true, detail: 'PostgreSQL 15.4: 3 rows' });
});

void t.test('down, in the words of the server', async (t) => {
  const denied = await asked(t, 'pgsql', Buffer.concat([noTls, error('not you')]));
  t.match(denied, { up: false, detail: 'not you' });
  t.match(await asked(t, 'pgsql', error('too many clients')), { up: false, detail: 'too many clients' });
  const broken = await asked(t, 'pgsql', Buffer.concat([loggedIn, error('no table'), ready]));
  t.match(broken, { up: false, detail: 'no table' });
  const late = await asked(t, 'pgsql', Buffer.concat([loggedIn, columns, row, error('disk full'), ready]));
  t.match(late, { up: false, detail: 'disk full' }, 'an error after the first row');
  const port = await freePort(t, createServer());
  const refused = await check({ type: 'negotiate', service: 'pgsql', login: 'a', request: '/b', port });
  t.match(refused, { up: false, detail: 'Connection refused' });
});

void t.test('down, of what is no PostgreSQL', async (t) => {
  const silent = await asked(t, 'pgsql', Buffer.alloc(0));
  t.match(silent, { up: false, detail: 'closed the connection' });
  t.match(await asked(t, 'pgsql', Buffer.from('220 mail\r\n'), { stays: true }), {
    up: false,
    detail: /^no PostgreSQL: /,
  });
  t.match(await asked(t, 'pgsql', Buffer.from('S')), { up: false, detail: /./ }, 'TLS, and then nothing');
  const stuffed = await asked(t, 'pgsql', Buffer.concat([Buffer.from('S'), good.subarray(1)]), {
    stays: true,
  });
  t.match(stuffed, { up: false, detail: 'said more than S before TLS' });
});

void t.test('reads no more than it should', async (t) => {
  const huge = Buffer.concat([loggedIn, Buffer.from('D7fffffff', 'latin1'), Buffer.alloc(11e6)]);
  t.match(await asked(t, 'pgsql', huge, { stays: true }), { up: false, detail: /^more than \d+ bytes/ });
});

void t.test('survives every wrong byte', (t) => survives(t, 'pgsql', good));
void t.test('leaves nothing behind', (t) => leavesNothing(t, 'pgsql', noTls));
void t.test('needs login and request', (t) => needsLoginAndRequest(t, 'pgsql'));
