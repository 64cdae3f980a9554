import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import t from 'tap';
import { CheckTimeout } from '../../../src/monitor/check.ts';
import { check, freePort, listen } from './loopback.ts';

void t.test('connect: up', async (t) => {
  let opened = 0;
  const closed = new Promise<void>((resolve) => {
    const server = createServer((socket) => {
      opened += 1;
      socket.once('close', resolve).resume();
    });
    void listen(t, server).then(async (port) => {
      t.match(await check({ type: 'connect', port }), { up: true, detail: 'connected' });
    });
  });
  await closed;
  t.equal(opened, 1, 'one connection, closed again');
});

void t.test('connect: IPv6', async (t) => {
  const port = await listen(
    t,
    createServer((socket) => socket.destroy()),
    '::1',
  );
  t.match(await check({ type: 'connect', address: '::1', port }), { up: true });
});

void t.test('connect: refused', async (t) => {
  const port = await freePort(t, createServer());
  const result = await check({ type: 'connect', port });
  t.match(result, { up: false, detail: 'Connection refused' });
  t.type(result.milliseconds, 'number');
});

void t.test('connect: aborted while connecting', async (t) => {
  const port = await freePort(t, createServer());
  const abort = new AbortController();
  const result = check({ type: 'connect', port }, {}, abort.signal);
  abort.abort(new CheckTimeout(2));
  t.match(await result, { up: false, detail: 'timed out after 2 s' });
});

void t.test('connect: without a port', async (t) => {
  t.match(await check({ type: 'connect', port: 0 }), { up: false, detail: 'no port to connect to' });
});

const simpletcp = { type: 'negotiate', service: 'simpletcp', request: '/PING\\nX' } as const;

/** Answers after the client has closed its side, as a server on stdin and stdout does. */
function onEnd(respond: (request: string, socket: Socket) => void) {
  return createServer({ allowHalfOpen: true }, (socket) => {
    let request = '';
    socket.setEncoding('utf8').on('data', (text: string) => (request += text));
    socket.on('end', () => {
      respond(request, socket);
    });
    // A check that has seen enough resets the connection.
    socket.on('error', () => socket.destroy());
  });
}

void t.test('simpletcp: up', async (t) => {
  let seen = '';
  const server = onEnd((request, socket) => {
    seen = request;
    socket.end('hello world\nsecond line PONG\n');
  });
  const port = await listen(t, server);
  t.match(await check({ ...simpletcp, port, receive: /PO.G/ }), { up: true, detail: 'second line PONG' });
  t.equal(seen, 'PING\nX', 'slash off, newline in, and our side closed');
  t.match(await check({ ...simpletcp, port, receive: /PONG$/ }), { up: true }, '$ is the end of a line');
  t.match(await check({ ...simpletcp, port }), { up: true, detail: 'hello world' }, 'any line will do');
});

void t.test('simpletcp: up before the server closes, and without a newline at the end', async (t) => {
  const port = await listen(
    t,
    onEnd((_, socket) => socket.write('first\nsec')),
  );
  t.match(await check({ ...simpletcp, port, receive: /first/ }), { up: true });
  const ending = await listen(
    t,
    onEnd((_, socket) => socket.end('no newline')),
  );
  t.match(await check({ ...simpletcp, port: ending, receive: /no newline/ }), { up: true });
});

void t.test('simpletcp: wrong answer', async (t) => {
  const port = await listen(
    t,
    onEnd((_, socket) => socket.end('nope\n')),
  );
  t.match(await check({ ...simpletcp, port, receive: /PONG/ }), {
    up: false,
    detail: 'no line of the answer matches "PONG"',
  });
  const silent = await listen(
    t,
    onEnd((_, socket) => socket.end()),
  );
  t.match(await check({ ...simpletcp, port: silent }), { up: false, detail: 'no answer' });
});

void t.test('simpletcp: slow', async (t) => {
  const abort = new AbortController();
  const closed = new Promise((resolve) => {
    const server = onEnd((_, socket) => {
      const more = (error?: Error | null): void => {
        if (error) resolve(error);
        else socket.write('not yet\n', (failure) => setImmediate(more, failure));
      };
      more();
      abort.abort(new CheckTimeout(3));
    });
    void listen(t, server).then(async (port) => {
      const result = await check({ ...simpletcp, port, receive: /PONG/ }, {}, abort.signal);
      t.match(result, { up: false, detail: 'timed out after 3 s' });
    });
  });
  await closed;
});

void t.test('simpletcp: refused and reset', async (t) => {
  const port = await freePort(t, createServer());
  t.match(await check({ ...simpletcp, port }), { up: false, detail: 'Connection refused' });
  const reset = await listen(
    t,
    createServer((socket) => socket.resetAndDestroy()),
  );
  t.match(await check({ ...simpletcp, port: reset }), { up: false });
});

void t.test('simpletcp over udp', async (t) => {
  const server = createSocket('udp4');
  t.teardown(() => server.close());
  server.on('message', (message, { port }) => {
    server.send(`got ${String(message)}`, port);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const settings = { ...simpletcp, protocol: 'udp', port: server.address().port } as const;
  t.match(await check({ ...settings, receive: /^got PING$/ }), { up: true, detail: 'got PING' });

  const abort = new AbortController();
  server.on('message', () => {
    abort.abort(new CheckTimeout(3));
  });
  t.match(await check({ ...settings, receive: /other/ }, {}, abort.signal), {
    up: false,
    detail: 'timed out after 3 s',
  });
  const nobody = await freePort(t, createServer());
  t.match(await check({ ...settings, port: nobody }), { up: false, detail: 'Connection refused' });
});
