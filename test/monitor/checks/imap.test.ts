import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import t from 'tap';
import { CheckTimeout } from '../../../src/monitor/check.ts';
import { check, listen } from './loopback.ts';

const imap = { type: 'negotiate', service: 'imap' } as const;
const login = { ...imap, login: 'u', password: 'p w' } as const;

interface Words {
  readonly greeting?: string;
  readonly login?: string;
  readonly logout?: string;
  /** To a line that ends in the length of a literal. */
  readonly literal?: string;
}

function answering(
  {
    greeting = '* OK fake\r\n',
    login = '0 OK LOGIN\r\n',
    logout = '* BYE\r\n1 OK LOGOUT\r\n',
    literal = '+ go\r\n',
  }: Words,
  heard: string[],
) {
  return (socket: Socket) => {
    let text = '';
    socket.on('error', () => socket.destroy());
    socket.write(greeting);
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (text + chunk).split('\r\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        heard.push(line);
        if (line.endsWith('LOGOUT')) socket.write(logout);
        else socket.write(line.endsWith('}') ? literal : login);
      }
    });
  };
}

function server(words: Words = {}) {
  const heard: string[] = [];
  return { server: createServer(answering(words, heard)), heard };
}

void t.test('imap: without a login the greeting is enough', async (t) => {
  const { server: fake, heard } = server();
  t.match(await check({ ...imap, port: await listen(t, fake) }), { up: true, detail: 'OK fake' });
  t.same(heard, ['1 LOGOUT'], 'and nothing is expunged');
});

void t.test('imap: login', async (t) => {
  const { server: fake, heard } = server({
    login: '* CAPABILITY X\r\n* OK wait\r\n0 OK [CAPABILITY X] in\r\n',
  });
  t.match(await check({ ...login, port: await listen(t, fake) }), { up: true, detail: 'OK in' });
  t.same(heard, ['0 LOGIN u "p w"', '1 LOGOUT']);
});

void t.test('imap: IPv6', async (t) => {
  const port = await listen(t, server().server, '::1');
  t.match(await check({ ...login, address: '::1', port }), { up: true });
});

for (const [name, greeting, up, detail] of [
  ['BYE', '* BYE no\r\n', false, 'BYE no'],
  ['small letters', '*  ok fake\r\n', true, 'ok fake'],
  ['capabilities', '* OK [CAPABILITY IMAP4rev1 ID] fake\r\n', true, 'OK fake'],
  ['nothing to say', '* OK\r\n', true, 'OK'],
  ['NO', '* NO thanks\r\n', false, 'unexpected greeting "* NO thanks"'],
  ['another protocol', '220 mx ESMTP\r\n', false, 'unexpected greeting "220 mx ESMTP"'],
  ['nearly right', '* OKAY\r\n', false, 'unexpected greeting "* OKAY"'],
  ['nothing', '\r\n', false, 'unexpected greeting ""'],
] as const) {
  void t.test(`imap: greets with ${name}`, async (t) => {
    const { server: fake, heard } = server({ greeting });
    t.match(await check({ ...imap, port: await listen(t, fake) }), { up, detail });
    t.same(heard, up ? ['1 LOGOUT'] : []);
  });
}

void t.test('imap: knows us already', async (t) => {
  const { server: fake, heard } = server({ greeting: '* PREAUTH hello\r\n' });
  t.match(await check({ ...login, port: await listen(t, fake) }), { up: true, detail: 'PREAUTH hello' });
  t.same(heard, ['1 LOGOUT']);
});

void t.test('imap: takes no logins without TLS', async (t) => {
  const { server: fake, heard } = server({ greeting: '* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] fake\r\n' });
  t.match(await check({ ...login, port: await listen(t, fake) }), { up: false, detail: /LOGINDISABLED/ });
  t.same(heard, ['1 LOGOUT'], 'and has not seen the password');
});

for (const [user, password, said] of [
  ['joe@example.com', 'simple', ['0 LOGIN joe@example.com "simple"']],
  ['joe', 'a"b\\c', ['0 LOGIN joe "a\\"b\\\\c"']],
  ['joe', '', ['0 LOGIN joe ""']],
  ['joe doe', 'p', ['0 LOGIN "joe doe" "p"']],
  ['jo(e', '{5}', ['0 LOGIN "jo(e" "{5}"']],
  ['joe', 'pässwörd', ['0 LOGIN joe {10}', 'pässwörd']],
  ['zoë', 'ü', ['0 LOGIN {4}', 'zoë {2}', 'ü']],
] as const) {
  void t.test(`imap: login ${user} with ${JSON.stringify(password)}`, async (t) => {
    const { server: fake, heard } = server();
    const port = await listen(t, fake);
    t.match(await check({ ...imap, login: user, password, port }), { up: true });
    t.same(heard, [...said, '1 LOGOUT']);
  });
}

void t.test('imap: takes no literal', async (t) => {
  const { server: fake, heard } = server({ literal: '* OK hm\r\n0 BAD syntax\r\n' });
  const port = await listen(t, fake);
  const result = await check({ ...imap, login: 'joe', password: 'ü', port });
  t.match(result, { up: false, detail: 'authentication failed: BAD syntax' });
  t.same(heard, ['0 LOGIN joe {2}', '1 LOGOUT']);
});

for (const [name, answer, detail] of [
  ['the login', '0 NO [AUTHENTICATIONFAILED] nobody\r\n', 'NO [AUTHENTICATIONFAILED] nobody'],
  ['and repeats the password', '0 BAD LOGIN u "p w"\r\n', 'BAD LOGIN u "***"'],
  ['everybody', '* BYE too many\r\n', 'BYE too many'],
  ['in strange words', 'hello\r\n', 'hello'],
  ['by another tag', '1 OK in\r\n', '1 OK in'],
  ['and wants more', '+ \r\n', '+'],
] as const) {
  void t.test(`imap: refuses ${name}`, async (t) => {
    const { server: fake } = server({ login: answer });
    const result = await check({ ...login, port: await listen(t, fake) });
    t.match(result, { up: false, detail: `authentication failed: ${detail}` });
  });
}

/** Says one thing and closes. */
const closing = (text: string) =>
  createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.resume().end(text);
  });

void t.test('imap: closes', async (t) => {
  const said = async (text: string) => check({ ...login, port: await listen(t, closing(text)) });
  t.match(await said(''), { up: false, detail: 'closed the connection without a word' });
  t.match(await said('* O'), { up: false, detail: 'closed the connection in the middle of "* O"' });
  t.match(await said('* OK fake\r\n'), { up: false, detail: 'closed the connection' });
  t.match(await said('* OK fake\r\n0 NO p w'), { up: false, detail: /"0 NO \*\*\*"$/ });
  const port = await listen(t, closing('* OK fake\r\n'));
  t.match(await check({ ...imap, port }), { up: true }, 'instead of a goodbye');
});

void t.test('imap: says too much', async (t) => {
  const endless = createServer((socket) => {
    const more = () => {
      while (socket.write(`* OK ${'x'.repeat(65529)}\r\n`));
    };
    socket.on('error', () => socket.destroy()).on('drain', more);
    socket.resume();
    more();
  });
  const result = await check({ ...login, port: await listen(t, endless) });
  t.match(result, { up: false, detail: /^(a line of )?more than \d+ characters/ });
});

for (const [name, words, last] of [
  ['at once', { greeting: '' }, undefined],
  ['at the login', { login: '' }, '0 LOGIN u "p w"'],
  ['at the goodbye', { logout: '' }, '1 LOGOUT'],
] as const) {
  void t.test(`imap: falls silent ${name}`, async (t) => {
    const { server: fake, heard } = server(words);
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

void t.test('imaps', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'directord-test-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true });
  });
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const own = ['-subj', '/CN=x', '-keyout', key, '-out', cert];
  execFileSync('openssl', ['req', ...kind, ...own], { stdio: 'ignore' });
  const options = { key: readFileSync(key), cert: readFileSync(cert) };
  const imaps = { ...login, service: 'imaps' } as const;
  const secure = async (words: Words, heard: string[] = []) => {
    const server = createTlsServer(options, answering(words, heard)).on('tlsClientError', () => undefined);
    return { server, port: await listen(t, server) };
  };

  const heard: string[] = [];
  const { port } = await secure({}, heard);
  t.match(await check({ ...imaps, tlsverify: 'full', port }), {
    up: false,
    detail: 'certificate verify failed: self-signed certificate',
  });
  t.same(heard, [], 'whom we do not believe hears nothing');
  t.match(await check({ ...imaps, tlsverify: 'none', port }), { up: true, detail: 'OK LOGIN' });
  t.same(heard, ['0 LOGIN u "p w"', '1 LOGOUT']);

  const plain = await listen(t, server().server);
  t.match(await check({ ...imaps, port: plain }), { up: false, detail: 'TLS failed: wrong version number' });
  const closed = await listen(t, closing(''));
  t.match(await check({ ...imaps, port: closed }), { up: false, detail: /disconnected before secure TLS/ });

  for (const [name, silent, event] of [
    ['before', { server: createServer(), port: undefined }, 'connection'],
    ['after', await secure({ greeting: '' }), 'secureConnection'],
  ] as const) {
    const abort = new AbortController();
    void once(silent.server, event).then(() => {
      abort.abort(new CheckTimeout(2));
    });
    const port = silent.port ?? (await listen(t, silent.server));
    const result = await check({ ...imaps, tlsverify: 'none', port }, {}, abort.signal);
    t.match(result, { up: false, detail: 'timed out after 2 s' }, `silent ${name} the handshake`);
  }
});
