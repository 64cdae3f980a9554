import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import t from 'tap';
import { CheckTimeout } from '../../../src/monitor/check.ts';
import { systemTrust } from '../../../src/monitor/checks/trust.ts';
import { check, freePort, listen } from './loopback.ts';

const http = { type: 'negotiate', service: 'http' } as const;
const urlOf = (port: number, path = '/index.html') => `http://127.0.0.1:${port}${path}`;
const page: RequestListener = (_, response) => response.end('It works: Test Page\n');

void t.test('up', async (t) => {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    page(request, response);
  });
  const url = urlOf(await listen(t, server), '/index.html?a=1');
  t.match(await check({ ...http, url, receive: /Test P.ge/, virtualhost: 'www.x.y' }), {
    up: true,
    detail: '200 OK',
  });
  t.match(await check({ ...http, url }), { up: true });
  t.match(seen, [
    {
      method: 'GET',
      url: '/index.html?a=1',
      headers: { host: 'www.x.y', 'user-agent': 'directord', connection: 'close' },
    },
    { headers: { host: '127.0.0.1' } },
  ]);
});

void t.test('IPv6', async (t) => {
  let host: string | undefined;
  const server = createServer((request, response) => {
    host = request.headers.host;
    page(request, response);
  });
  const port = await listen(t, server, '::1');
  t.match(await check({ ...http, address: '::1', url: `http://[::1]:${port}/` }), { up: true });
  t.equal(host, '[::1]');
});

void t.test('wrong answer', async (t) => {
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/gone' ? 404 : 200;
    page(request, response);
  });
  const port = await listen(t, server);
  t.match(await check({ ...http, url: urlOf(port), receive: /Other/ }), {
    up: false,
    detail: '200 OK, but the body does not match "Other"',
  });
  t.match(await check({ ...http, url: urlOf(port, '/gone'), receive: /Test/ }), {
    up: false,
    detail: '404 Not Found',
  });
});

void t.test('HEAD has no body to match', async (t) => {
  let method: string | undefined;
  const server = createServer((request, response) => {
    method = request.method;
    page(request, response);
  });
  const url = urlOf(await listen(t, server));
  t.match(await check({ ...http, url, httpmethod: 'HEAD', receive: /Test/ }), { up: true });
  t.equal(method, 'HEAD');
});

void t.test('redirects: seven are followed, under the new name', async (t) => {
  const hosts: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    hosts.push(request.headers.host);
    const left = Number(request.url?.slice(1));
    if (left === 0) page(request, response);
    else response.writeHead(302, { Location: `/${left - 1}` }).end();
  });
  const port = await listen(t, server);
  t.match(await check({ ...http, url: urlOf(port, '/7'), virtualhost: 'www.x.y' }), {
    up: true,
    detail: '200 OK',
  });
  t.same(hosts, ['www.x.y', ...Array<string>(7).fill(`127.0.0.1:${port}`)]);
  t.match(await check({ ...http, url: urlOf(port, '/8') }), { up: false, detail: '302 Found' });
});

void t.test('a redirect to somewhere else entirely', async (t) => {
  const server = createServer((request, response) => {
    const Location = request.url === '/ftp' ? 'ftp://127.0.0.1/' : 'http://[nonsense';
    response.writeHead(301, 'Moved', { Location }).end();
  });
  const port = await listen(t, server);
  t.match(await check({ ...http, url: urlOf(port, '/ftp') }), {
    up: false,
    detail: "501 Protocol scheme 'ftp' is not supported",
  });
  t.match(await check({ ...http, url: urlOf(port) }), { up: false, detail: '301 Moved' });
});

void t.test('slow: before the headers and in the middle of the body', async (t) => {
  for (const begin of [false, true]) {
    const abort = new AbortController();
    const closed = new Promise((resolve) => {
      const server = createServer((request, response) => {
        request.socket.once('close', resolve);
        if (begin) response.write('It wor');
        // By then the client has the beginning, if there is one.
        setImmediate(() => {
          abort.abort(new CheckTimeout(2));
        });
      });
      void listen(t, server).then(async (port) => {
        t.match(await check({ ...http, url: urlOf(port) }, {}, abort.signal), {
          up: false,
          detail: 'timed out after 2 s',
        });
      });
    });
    await closed;
  }
});

void t.test('refused, not HTTP, cut off, no URL', async (t) => {
  const port = await freePort(t, createServer());
  t.match(await check({ ...http, url: urlOf(port) }), {
    up: false,
    detail: `500 Can't connect to 127.0.0.1:${port} (Connection refused)`,
  });
  const noise = await listen(
    t,
    createTcpServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-OpenSSH\r\n')),
  );
  t.match(await check({ ...http, url: urlOf(noise) }), { up: false });
  const cut = createTcpServer((socket) => {
    socket.on('error', () => undefined).end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nTest');
  });
  t.match(await check({ ...http, url: urlOf(await listen(t, cut)), receive: /Test/ }), { up: false });
  t.match(await check({ ...http, url: 'http://[bad' }), {
    up: false,
    detail: '400 URL is not valid: http://[bad',
  });
  t.match(await check({ ...http, url: undefined }), { up: false });
  t.match(
    await check({ ...http, url: urlOf(port), virtualhost: 'a\nb' }),
    { up: false },
    'a name no header can carry',
  );
});

void t.test('nonsense or a reset in the middle of the body', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nTest\r\n';
  const ends: ((socket: Socket) => void)[] = [
    (socket) => socket.end('what is this?\r\n'),
    (socket) => socket.resetAndDestroy(),
  ];
  for (const end of ends) {
    const server = createTcpServer((socket) => {
      // after ten turns the client has the beginning
      const later = (turns: number): void => {
        if (turns === 0) end(socket);
        else setImmediate(later, turns - 1);
      };
      socket
        .on('error', () => undefined)
        .write(head, () => {
          later(10);
        });
    });
    const url = urlOf(await listen(t, server));
    t.match(await check({ ...http, url, receive: /Test/ }), {
      up: false,
      detail: '200 OK, but the body was cut off',
    });
  }
});

void t.test('closed without an answer, or in the middle of the headers', async (t) => {
  const closed = async (said: string): Promise<string> => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined).once('data', () => socket.end(said));
    });
    return (await check({ ...http, url: urlOf(await listen(t, server)) })).detail;
  };
  t.equal(await closed(''), '500 Server closed connection without sending any data back');
  t.equal(
    await closed('HTTP/1.1 200 OK\r\nContent-'),
    '500 Server closed connection in the middle of its headers',
  );
});

void t.test('a proxy is asked for a page of another server', async (t) => {
  const seen: unknown[] = [];
  const server = createServer((request, response) => {
    seen.push([request.url, request.headers.host]);
    page(request, response);
  });
  const port = await listen(t, server);
  const proxy = { ...http, service: 'http_proxy', port } as const;
  t.match(await check({ ...proxy, url: 'http://www.example.com/x?y', virtualhost: 'unused' }), { up: true });
  t.same(seen, [['http://www.example.com/x?y', 'www.example.com']]);
  const nobody = await freePort(t, createServer());
  t.match(await check({ ...proxy, port: nobody, url: 'http://www.example.com/' }), {
    up: false,
    detail: `500 Can't connect to 127.0.0.1:${nobody} (Connection refused)`,
  });
});

void t.test('an endless answer is read up to a limit', async (t) => {
  const server = createServer((_, response) => {
    response.write('Test Page');
    const more = (): void => {
      while (response.write(Buffer.alloc(65536)));
    };
    response.on('drain', more);
    more();
  });
  t.match(await check({ ...http, url: urlOf(await listen(t, server)), receive: /^Test Page/ }), { up: true });
});

void t.test('https', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'directord-test-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true });
  });
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '1',
      ],
      ...['-subj', '/CN=www.x.y', '-addext', 'subjectAltName=DNS:www.x.y', '-keyout', key, '-out', cert],
    ],
    { stdio: 'ignore' },
  );
  let name: unknown;
  const server = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }, page);
  server.on('secureConnection', ({ servername }) => (name = servername));
  server.on('tlsClientError', () => undefined);
  const port = await listen(t, server);
  const settings = { ...http, service: 'https', url: `https://127.0.0.1:${port}/`, receive: /Test/ } as const;
  const trusted = { trust: systemTrust({ SSL_CERT_FILE: cert }) };

  t.match(await check({ ...settings, tlsverify: 'chain' }, { trust: () => createSecureContext() }), {
    up: false,
    detail: `500 Can't connect to 127.0.0.1:${port} (certificate verify failed)`,
  });
  t.match(await check({ ...settings, tlsverify: 'none' }), { up: true, detail: '200 OK' });
  t.match(
    await check({ ...settings, tlsverify: 'chain' }, trusted),
    { up: true },
    'the name is not looked at',
  );
  t.match(await check({ ...settings, tlsverify: 'full' }, trusted), {
    up: false,
    detail: `500 Can't connect to 127.0.0.1:${port} (hostname verification failed)`,
  });
  t.match(await check({ ...settings, tlsverify: 'full', virtualhost: 'www.x.y' }, trusted), { up: true });
  t.equal(name, 'www.x.y', 'the virtual host is asked for');
  const missing = { trust: systemTrust({ SSL_CERT_FILE: join(directory, 'missing') }) };
  t.match(await check(settings, missing), { up: false, detail: /No such file/ });

  const silent = createTcpServer();
  const abort = new AbortController();
  void once(silent, 'connection').then(() => {
    abort.abort(new CheckTimeout(2));
  });
  const url = `https://127.0.0.1:${await listen(t, silent)}/`;
  t.match(await check({ ...settings, url }, {}, abort.signal), { up: false, detail: 'timed out after 2 s' });
});
