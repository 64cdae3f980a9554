import type { AddressInfo, Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import t from 'tap';
import { CheckTimeout } from '../../../src/monitor/check.ts';
import { check, freePort, listen } from './loopback.ts';
import { scripted, type Script } from './scripted.ts';

const ftp = { type: 'negotiate', service: 'ftp', request: '/welcome.msg', password: 'hidden' } as const;

const replies = {
  USER: '331 pw\r\n',
  PASS: '230-hello\r\n 230 is not the end\r\n230 in\r\n',
  CWD: '250 ok\r\n',
  TYPE: '200 ok\r\n',
  RETR: '150 here it comes\r\n226 done\r\n',
} as const;
const well: Script = { greeting: '120 soon\r\n220 ready\r\n', replies };

/** A server of data connections. */
const giving = (text: string): Server =>
  createServer((socket) => socket.on('error', () => undefined).end(text));

const passive = (port: number): string =>
  `227 Entering Passive Mode (203,0,113,9,${port >> 8},${port & 255}).\r\n`;

void t.test('passive, whatever address the server names', async (t) => {
  const data = await listen(t, giving('welcome to the test\n'));
  const { server, heard, ended } = scripted({ ...well, replies: { ...replies, PASV: passive(data) } });
  const port = await listen(t, server);
  t.match(await check({ ...ftp, port, receive: /the test$/m }), { up: true, detail: '226 done' });
  await ended;
  t.same(heard, [
    ...['USER anonymous', 'PASS hidden', 'CWD /', 'TYPE I', 'PASV'],
    ...['RETR /welcome.msg', 'QUIT'],
  ]);
  t.match(await check({ ...ftp, port, receive: /another/ }), {
    up: false,
    detail: '226 done, but the file does not match "another"',
  });
  t.match(await check({ ...ftp, port, login: 'me' }), { up: true }, 'any file will do');
  t.equal(heard[7], 'USER anonymous');
  t.ok(heard.includes('USER me'));
});

void t.test('IPv6, byte by byte', async (t) => {
  const data = await listen(t, giving('test'), '::1');
  const EPSV = `229 Extended Passive Mode (|||${data}|)\r\n`;
  const { server } = scripted({ ...well, replies: { ...replies, EPSV } }, { bytewise: true });
  const port = await listen(t, server, '::1');
  t.match(await check({ ...ftp, address: '::1', port, receive: /test/ }), { up: true, detail: '226 done' });
});

void t.test('active: the server connects to us, and nobody else', async (t) => {
  const sent = (port: number, host: string, from: string): Socket =>
    connect({ port, host, localAddress: from }).on('error', () => undefined);
  const { server, heard } = scripted({
    ...well,
    replies: {
      ...replies,
      PORT: (socket, line) => {
        const [high = 0, low = 0] = line.split(',').slice(4).map(Number);
        const stranger = sent(high * 256 + low, '127.0.0.1', '127.0.0.2').resume();
        stranger.write('lies');
        stranger.on('close', () => {
          sent(high * 256 + low, '127.0.0.1', '127.0.0.1').end('test');
          socket.write('200 ok\r\n');
        });
      },
      EPRT: (socket, line) => {
        sent(Number(line.split('|')[3]), '::1', '::1').end('test');
        socket.write('200 ok\r\n');
      },
    },
  });
  const actively = { ftpPassive: false };
  const port = await listen(t, server);
  t.match(await check({ ...ftp, port, receive: /^test$/ }, actively), { up: true, detail: '226 done' });
  t.match(heard[4], /^PORT 127,0,0,1,\d+,\d+$/);
  const six = new Promise<number>((resolve) => {
    server.close(() =>
      server.listen(0, '::1', () => {
        resolve((server.address() as AddressInfo).port);
      }),
    );
  });
  t.match(await check({ ...ftp, address: '::1', port: await six, receive: /^test$/ }, actively), {
    up: true,
  });
});

void t.test('wrong', async (t) => {
  const nobody = await freePort(t, createServer());
  const data = await listen(t, giving('half of'));
  const PASV = passive(data);
  const said = async (script: Partial<Script>, changes = {}, parts = {}): Promise<unknown> => {
    const { server } = scripted({ ...well, ...script });
    const { up, detail } = await check({ ...ftp, port: await listen(t, server), ...changes }, parts);
    return up || detail;
  };
  const but = (changes: Script['replies']): Partial<Script> => ({
    replies: { ...replies, PASV, ...changes },
  });
  t.equal(await said({ greeting: '421 too many users\r\n' }), '421 too many users');
  t.equal(await said(but({ PASS: '530 no\r\n' })), 'login failed: 530 no');
  t.equal(await said(but({ USER: '332 account?\r\n' })), 'login failed: 332 account?');
  t.equal(await said(but({ RETR: '550 no file\r\n' })), 'RETR /welcome.msg: 550 no file');
  t.equal(await said(but({ RETR: '150 now\r\n426 broken\r\n' })), 'RETR /welcome.msg: 426 broken');
  t.equal(await said(but({ PASV: '502 what?\r\n' })), 'PASV: 502 what?');
  t.equal(await said(but({ PASV: '227 (1,2,3)\r\n' })), 'PASV: no port in "227 (1,2,3)"');
  t.equal(await said(but({ PASV: '227 (1,2,3,4,0,0)\r\n' })), 'PASV: no port in "227 (1,2,3,4,0,0)"');
  t.equal(await said(but({ PASV: passive(nobody) })), 'Connection refused');
  t.match(await said(but({ PORT: '500 no\r\n' }), {}, { ftpPassive: false }), /^PORT [\d,]+: 500 no$/);
  t.equal(await said({ ...but({ RETR: '150 now\r\n' }), hangUp: 'RETR' }), 'closed the connection');
  t.equal(await said({ greeting: 'SSH-2.0-OpenSSH\r\n' }), 'no reply, but "SSH-2.0-OpenSSH"');
  t.equal(await said(but({ CWD: '550 no\r\n', TYPE: '504 no\r\n' })), true, 'the file is what counts');
});

void t.test('without request and receive, the server may have no file', async (t) => {
  const PASV = passive(await listen(t, giving('')));
  const { server } = scripted({ ...well, replies: { ...replies, PASV, RETR: '550 no file\r\n' } });
  const nothing = { ...ftp, request: '/', port: await listen(t, server) };
  t.match(await check(nothing), { up: true, detail: 'logged in; 550 no file' });
  t.match(await check({ ...nothing, receive: /test/ }), { up: false, detail: 'RETR /: 550 no file' });
});

void t.test('an endless file, and a silent server', async (t) => {
  const endless = createServer((socket) => {
    const more = (): void => {
      while (!socket.destroyed && socket.write(Buffer.alloc(65536, 'test ')));
    };
    socket.on('error', () => undefined).on('drain', more);
    more();
  });
  const PASV = passive(await listen(t, endless));
  const { server } = scripted({ ...well, replies: { ...replies, PASV, RETR: '150 now\r\n' } });
  t.match(await check({ ...ftp, port: await listen(t, server), receive: /test/ }), { up: true });

  for (const ftpPassive of [true, false]) {
    const abort = new AbortController();
    const waiting = scripted({
      ...well,
      replies: {
        ...replies,
        PASV: passive(await listen(t, createServer())),
        PORT: '200 ok\r\n',
        RETR: (socket) => {
          socket.write('150 now\r\n', () =>
            setImmediate(() => {
              abort.abort(new CheckTimeout(3));
            }),
          );
        },
      },
    });
    t.match(await check({ ...ftp, port: await listen(t, waiting.server) }, { ftpPassive }, abort.signal), {
      up: false,
      detail: 'timed out after 3 s',
    });
  }
});
