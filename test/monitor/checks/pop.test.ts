import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import t from 'tap';
import { CheckTimeout } from '../../../src/monitor/check.ts';
import { check, listen } from './loopback.ts';
import { scripted } from './scripted.ts';

const pop = { type: 'negotiate', service: 'pop' } as const;
const login = { ...pop, login: 'u', password: 'secret' } as const;

/** To lines with another first word it says nothing. */
const server = (greeting: string, replies: Readonly<Record<string, string>> = {}) =>
  scripted({ greeting, replies });

const well = {
  CAPA: '-ERR\r\n',
  USER: '+OK\r\n',
  PASS: '+OK 0 messages\r\n',
  STAT: '+OK 0 0\r\n',
  QUIT: '+OK bye\r\n',
};

void t.test('pop: without a login the greeting is enough', async (t) => {
  const { server: fake, heard } = server('+OK fake\r\n', well);
  t.match(await check({ ...pop, port: await listen(t, fake) }), { up: true, detail: '+OK fake' });
  t.same(heard, ['QUIT']);
});

void t.test('pop: login', async (t) => {
  const { server: fake, heard } = server('+OK fake\r\n', well);
  const port = await listen(t, fake);
  t.match(await check({ ...login, port }), { up: true, detail: '+OK 0 messages' });
  t.same(heard, ['CAPA', 'USER u', 'PASS secret', 'STAT', 'QUIT']);
});

void t.test('pop: IPv6', async (t) => {
  const port = await listen(t, server('+OK fake\r\n', well).server, '::1');
  t.match(await check({ ...login, address: '::1', port }), { up: true });
});

for (const [name, greeting, detail] of [
  ['an error', '-ERR no\r\n', '-ERR no'],
  ['another protocol', '220 mx ESMTP\r\n', 'unexpected greeting "220 mx ESMTP"'],
  ['nothing much', '\r\n', 'unexpected greeting ""'],
  ['nearly right', '+OKAY\r\n', 'unexpected greeting "+OKAY"'],
  ['garbage', Buffer.from([0, 0xff, 0xfe, 13, 10]).toString('latin1'), /^unexpected greeting/],
] as const) {
  void t.test(`pop: greets with ${name}`, async (t) => {
    const { server: fake, heard } = server(greeting, well);
    t.match(await check({ ...login, port: await listen(t, fake) }), { up: false, detail });
    t.same(heard, [], 'no word is said to it');
  });
}

for (const [name, answers, detail] of [
  ['the user', { USER: '-ERR no such user\r\n' }, 'authentication failed: -ERR no such user'],
  ['the password', { PASS: '-ERR auth\r\n' }, 'authentication failed: -ERR auth'],
  ['and repeats the password', { PASS: '-ERR not secret!\r\n' }, 'authentication failed: -ERR not ***!'],
  ['to count', { STAT: '-ERR disk on fire\r\n' }, 'mailbox cannot be read: -ERR disk on fire'],
  ['in strange words', { PASS: '550 no\r\n' }, 'authentication failed: 550 no'],
] as const) {
  void t.test(`pop: refuses ${name}`, async (t) => {
    const { server: fake, heard } = server('+OK fake\r\n', { ...well, ...answers });
    t.match(await check({ ...login, port: await listen(t, fake) }), { up: false, detail });
    t.equal(heard.at(-1), 'QUIT');
    t.equal(heard.filter((line) => line.startsWith('USER')).length, 1, 'it is not tried again');
  });
}

// RFC 1939, section 7, and RFC 2195, section 2: their own examples
const tanstaaf = { login: 'mrose', password: 'tanstaaf' };
const tanstaaftanstaaf = { login: 'tim', password: 'tanstaaftanstaaf' };
const apop = 'APOP mrose c4c9334bac560ecc979e58001b3e22fb';
const stamped = '+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n';

void t.test('pop: APOP where the greeting has a timestamp', async (t) => {
  const { server: fake, heard } = server(stamped, { ...well, APOP: '+OK maildrop\r\n' });
  t.match(await check({ ...pop, ...tanstaaf, port: await listen(t, fake) }), {
    up: true,
    detail: '+OK maildrop',
  });
  t.same(heard, [apop, 'STAT', 'QUIT']);
});

void t.test('pop: APOP that is not meant', async (t) => {
  const { server: fake, heard } = server(stamped, { ...well, APOP: '-ERR unknown\r\n' });
  t.match(await check({ ...pop, ...tanstaaf, port: await listen(t, fake) }), { up: true });
  t.same(heard, [apop, 'CAPA', 'USER mrose', 'PASS tanstaaf', 'STAT', 'QUIT']);
});

const offers = '+OK\r\nTOP\r\nSASL PLAIN CRAM-MD5\r\n.\r\n';
const challenge = '+ PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n';
const response = 'dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw';

void t.test('pop: CRAM-MD5 where it is offered', async (t) => {
  const answers = { ...well, CAPA: offers, AUTH: challenge, [response]: '+OK in\r\n' };
  const { server: fake, heard } = server('+OK fake\r\n', answers);
  const port = await listen(t, fake);
  t.match(await check({ ...pop, ...tanstaaftanstaaf, port }), { up: true, detail: '+OK in' });
  t.same(heard, ['CAPA', 'AUTH CRAM-MD5', response, 'STAT', 'QUIT']);
});

void t.test('pop: CRAM-MD5 that does not get in', async (t) => {
  const answers = { ...well, CAPA: offers, AUTH: '-ERR not today\r\n' };
  const { server: fake, heard } = server('+OK fake\r\n', answers);
  t.match(await check({ ...login, port: await listen(t, fake) }), { up: true });
  t.same(heard, ['CAPA', 'AUTH CRAM-MD5', 'USER u', 'PASS secret', 'STAT', 'QUIT']);
});

/** Says one thing and closes. */
const closing = (text: string) =>
  createServer((socket: Socket) => {
    socket.on('error', () => socket.destroy());
    socket.resume().end(text);
  });

void t.test('pop: closes', async (t) => {
  const said = async (text: string) => check({ ...login, port: await listen(t, closing(text)) });
  t.match(await said(''), { up: false, detail: 'closed the connection without a word' });
  t.match(await said('+O'), { up: false, detail: 'closed the connection in the middle of "+O"' });
  t.match(await said('+OK fake\r\n+OK\r\nSASL'), { up: false }, 'among its capabilities');
  t.match(await said('+OK fake\r\n-ERR\r\n+OK\r\n-ERR secret'), { up: false, detail: /"-ERR \*\*\*"$/ });
  const port = await listen(t, closing('+OK fake\r\n'));
  t.match(await check({ ...pop, port }), { up: true }, 'instead of a goodbye');
});

void t.test('pop: says too much', async (t) => {
  const endless = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.write('+OK fake\r\n+OK capabilities\r\n');
    const more = () => {
      while (socket.write('x'.repeat(65534) + '\r\n'));
    };
    socket.on('drain', more).resume();
    more();
  });
  const result = await check({ ...login, port: await listen(t, endless) });
  t.match(result, { up: false, detail: /^(a line of )?more than \d+ characters/ });
});

void t.test('pop: one byte at a time, and lines with a bare newline', async (t) => {
  const slow = createServer((socket) => {
    socket.setNoDelay().on('error', () => socket.destroy());
    const bytes = '+OK fake\n-ERR\r\n+OK\n+OK in\r\n+OK 0 0\r\n+OK bye\r\n'.split('');
    const next = () => {
      const byte = bytes.shift();
      if (byte !== undefined) socket.write(byte, () => setImmediate(next));
    };
    next();
    socket.resume();
  });
  t.match(await check({ ...login, port: await listen(t, slow) }), { up: true, detail: '+OK in' });
});

for (const [name, greeting, answers, last] of [
  ['at once', '', {}, undefined],
  ['at the login', '+OK fake\r\n', { ...well, PASS: '' }, 'PASS secret'],
  ['at the goodbye', '+OK fake\r\n', { ...well, QUIT: '' }, 'QUIT'],
] as const) {
  void t.test(`pop: falls silent ${name}`, async (t) => {
    const { server: fake, heard } = server(greeting, answers);
    const port = await listen(t, fake);
    const abort = new AbortController();
    const result = check({ ...login, port }, {}, abort.signal);
    const [socket] = (await once(fake, 'connection')) as [Socket];
    while (heard.at(-1) !== last) await once(socket, 'data');
    abort.abort(new CheckTimeout(2));
    const late = { up: false, detail: 'timed out after 2 s' };
    t.match(await result, name === 'at the goodbye' ? { up: true } : late);
  });
}
