import { once } from 'node:events';
import { createServer } from 'node:net';
import t from 'tap';
import { CheckTimeout } from '../../../src/monitor/check.ts';
import { check, freePort, listen } from './loopback.ts';

const nntp = { type: 'negotiate', service: 'nntp' } as const;

/** Says one thing, and closes when the reader does, or at once. */
function server(text: string, { closes = false } = {}) {
  let heard = '';
  const made = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.setEncoding('utf8').on('data', (chunk: string) => (heard += chunk));
    if (closes) socket.end(text);
    else socket.write(text);
  });
  return { server: made, heard: () => heard };
}

for (const [greeting, up, detail] of [
  ['200 fake\r\n', true, '200 fake'],
  ['201 no posting\n', true, '201 no posting'],
  ['200\r\n', true, '200'],
  ['400 no\r\n', false, '400 no'],
  ['502 permission denied\r\n', false, '502 permission denied'],
  ['2fast\r\n', false, 'unexpected greeting "2fast"'],
  ['20000 leagues\r\n', false, 'unexpected greeting "20000 leagues"'],
  ['+OK fake\r\n200 fake\r\n', false, 'unexpected greeting "+OK fake"'],
  ['\r\n', false, 'unexpected greeting ""'],
] as const) {
  void t.test(`nntp: ${JSON.stringify(greeting)}`, async (t) => {
    const { server: fake, heard } = server(greeting);
    const closed = once(fake, 'connection').then(([socket]) => once(socket as NodeJS.EventEmitter, 'close'));
    t.match(await check({ ...nntp, port: await listen(t, fake) }), { up, detail });
    await closed;
    t.equal(heard(), '', 'nothing is said to it');
  });
}

void t.test('nntp: IPv6', async (t) => {
  const port = await listen(t, server('200 fake\r\n').server, '::1');
  t.match(await check({ ...nntp, address: '::1', port }), { up: true, detail: '200 fake' });
});

void t.test('nntp: refused', async (t) => {
  const port = await freePort(t, createServer());
  t.match(await check({ ...nntp, port }), { up: false, detail: 'Connection refused' });
});

void t.test('nntp: closes', async (t) => {
  const said = async (text: string) =>
    check({ ...nntp, port: await listen(t, server(text, { closes: true }).server) });
  t.match(await said(''), { up: false, detail: 'closed the connection without a word' });
  t.match(await said('200 fa'), { up: false, detail: 'closed the connection in the middle of "200 fa"' });
});

void t.test('nntp: a greeting without end', async (t) => {
  const endless = createServer((socket) => {
    const more = () => {
      while (socket.write('2'.repeat(65536)));
    };
    socket.on('error', () => socket.destroy()).on('drain', more);
    more();
  });
  const result = await check({ ...nntp, port: await listen(t, endless) });
  t.match(result, { up: false, detail: /^(a line of )?more than \d+ characters/ });
});

void t.test('nntp: falls silent', async (t) => {
  const silent = createServer();
  const abort = new AbortController();
  void once(silent, 'connection').then(() => {
    abort.abort(new CheckTimeout(2));
  });
  const result = await check({ ...nntp, port: await listen(t, silent) }, {}, abort.signal);
  t.match(result, { up: false, detail: 'timed out after 2 s' });
});
