import { createServer } from 'node:net';
import t from 'tap';
import { CheckTimeout } from '../../../src/monitor/check.ts';
import { check, freePort, listen } from './loopback.ts';
import { scripted, type Script } from './scripted.ts';

const smtp = { type: 'negotiate', service: 'smtp' } as const;
const well: Script = {
  greeting: '220 mx ESMTP\r\n',
  replies: { EHLO: '250-mx\r\n250 HELP\r\n', QUIT: '221 bye\r\n' },
};

void t.test('up', async (t) => {
  const { server, heard, ended } = scripted(well);
  t.match(await check({ ...smtp, port: await listen(t, server) }), { up: true, detail: '220 mx ESMTP' });
  await ended;
  t.same(heard, ['EHLO localhost.localdomain', 'QUIT']);
});

void t.test('submission, on several lines, byte by byte, with bare newlines', async (t) => {
  const { server } = scripted(
    { greeting: '220-mx\n220-wait\n220\n', replies: { EHLO: '250-mx\n250\n' } },
    { bytewise: true },
  );
  t.match(await check({ ...smtp, service: 'submission', port: await listen(t, server) }), {
    up: true,
    detail: '220 mx',
  });
});

void t.test('HELO for a server that does not know EHLO', async (t) => {
  const { server, heard, ended } = scripted({
    ...well,
    replies: { EHLO: '502 what?\r\n', HELO: '250 mx\r\n' },
  });
  t.match(await check({ ...smtp, port: await listen(t, server) }), { up: true });
  await ended;
  t.same(heard, ['EHLO localhost.localdomain', 'HELO localhost.localdomain', 'QUIT']);
});

void t.test('wrong', async (t) => {
  const said = async (script: Script): Promise<unknown> => {
    const { server } = scripted(script);
    const { up, detail } = await check({ ...smtp, port: await listen(t, server) });
    return up || detail;
  };
  t.equal(await said({ greeting: '554 no service\r\n' }), '554 no service');
  t.equal(await said({ greeting: '250 not a greeting\r\n' }), '250 not a greeting');
  const refuse = { EHLO: '502 what?\r\n', HELO: '550-no\r\n550 really\r\n' };
  t.equal(await said({ ...well, replies: refuse }), 'refused our greeting: 550 no');
  t.equal(
    await said({ ...well, replies: { EHLO: '421 too busy\r\n' } }),
    'refused our greeting: 421 too busy',
    'no second attempt',
  );
  t.equal(await said({ greeting: 'SSH-2.0-OpenSSH\r\n' }), 'no reply, but "SSH-2.0-OpenSSH"');
  t.equal(
    await said({ greeting: `999 ${'x'.repeat(1000)}\r\n` }),
    `no reply, but "999 ${'x'.repeat(196)}..."`,
  );
  t.equal(
    await said({ ...well, replies: { EHLO: '250-mx\r\n250' }, hangUp: 'EHLO' }),
    'closed the connection in the middle of "250"',
  );
  t.equal(await said({ greeting: '', hangUp: 'greeting' }), 'closed the connection without a word');
});

void t.test('an endless reply is read up to a limit', async (t) => {
  for (const piece of ['x'.repeat(65536), `220-${'x'.repeat(65536)}\r\n`]) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined).write('220-mx\r\n');
      const more = (): void => {
        while (!socket.destroyed && socket.write(piece));
      };
      socket.on('drain', more);
      more();
    });
    t.match(await check({ ...smtp, port: await listen(t, server) }), {
      up: false,
      detail: /^(a line of )?more than \d+ characters/,
    });
  }
});

void t.test('refused and silent', async (t) => {
  t.match(await check({ ...smtp, port: await freePort(t, createServer()) }), {
    up: false,
    detail: 'Connection refused',
  });
  const abort = new AbortController();
  const silent = createServer(() => {
    abort.abort(new CheckTimeout(3));
  });
  t.match(await check({ ...smtp, port: await listen(t, silent) }, {}, abort.signal), {
    up: false,
    detail: 'timed out after 3 s',
  });
});
