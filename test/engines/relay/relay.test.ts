/** The relay engine with real sockets on loopback: what clients and servers on either side of it notice. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import t from 'tap';
import { defaultTimeouts } from '../../../src/director/table.ts';
import { masq, roundRobin } from '../../support/table.ts';
import { until } from '../../support/until.ts';
import {
  accepts,
  add,
  connections,
  destinations,
  entry,
  freePort,
  host,
  leave,
  named,
  open,
  problems,
  received,
  relay,
  serve,
  service,
} from './stage.ts';

t.before(() => relay.start());
t.teardown(leave);

t.test('connections go round in the order of the kernel, whichever thread accepts them', async (t) => {
  const ports = [await serve(named('rs1')), await serve(named('rs2')), await serve(named('rs3'))];
  const id = await service(ports);
  const greetings: string[] = [];
  const sockets: Socket[] = [];
  for (let i = 0; i < 9; i++) {
    const { socket, greeting } = await open(id.port);
    greetings.push(greeting);
    sockets.push(socket);
  }
  const start = greetings.indexOf('rs3');
  t.equal(greetings.slice(start, start + 6).join(' '), 'rs3 rs2 rs1 rs3 rs2 rs1');
  t.same(
    (await destinations(id)).map(({ active }) => active),
    [3, 3, 3],
  );
  for (const socket of sockets) socket.destroy();
  await until(async () => (await destinations(id)).every(({ active }) => active === 0));
});

t.test('a closed connection is counted as inactive and shown in the state that IPVS gives it', async (t) => {
  const id = await service([await serve(named('rs'))]);
  const { socket } = await open(id.port);
  const from = socket.localPort;
  t.match(await entry(socket), { state: 'ESTABLISHED', protocol: 'tcp', virtualPort: id.port });
  socket.end();
  await once(socket, 'close');
  const closed = await until(async () =>
    (await connections()).find((one) => one.clientPort === from && one.state === 'TIME_WAIT'),
  );
  t.equal(closed.virtualPort, id.port);
  t.ok(closed.expires > 100, 'for two minutes');
  await until(async () => (await destinations(id))[0]?.active === 0);
  t.ok(((await destinations(id))[0]?.inactive ?? 0) >= 1);
});

t.test('half-close passes: a client that has finished sending still gets its answer', async (t) => {
  const port = await serve((socket) => {
    const parts: Buffer[] = [];
    socket.on('data', (part: Buffer) => parts.push(part));
    socket.on('end', () => socket.end(`got ${Buffer.concat(parts).toString()}`));
  }, true);
  const id = await service([port]);
  const socket = connect({ port: id.port, host, allowHalfOpen: true });
  socket.end('the question');
  t.equal((await received(socket)).toString(), 'got the question');
});

t.test('bulk data arrives whole though the receiver is slow', async (t) => {
  const size = 32 * 1024 * 1024;
  const port = await serve((socket) => socket.end(Buffer.alloc(size, 'x')));
  const id = await service([port]);
  const socket = connect(id.port, host);
  let count = 0;
  for await (const part of socket as AsyncIterable<Buffer>) {
    count += part.length;
    // Every part waits for the next turn: the sender is faster, so the relay has to hold it back.
    await new Promise(setImmediate);
  }
  t.equal(count, size);
});

t.test('a server that refuses is passed over before the client notices', async (t) => {
  const good = await serve(named('good'));
  const id = await service([good, await freePort()]);
  const greetings = await Promise.all(Array.from({ length: 6 }, async () => (await open(id.port)).greeting));
  t.same(greetings, Array(6).fill('good'));
});

t.test('with no server left the client is refused at once', async (t) => {
  const port = await serve(named('rs'));
  const id = await service([port]);
  relay.apply({ verb: 'delete-destination', service: id, destination: { address: host, port } });
  await until(async () => !(await accepts(id.port)));
  t.notOk(await accepts(id.port));
});

t.test('a server with weight 0 keeps its connections and gets no new ones', async (t) => {
  const [a, b] = [await serve(named('a')), await serve(named('b'))];
  const id = await service([a, b]);
  let kept = await open(id.port);
  if (kept.greeting !== 'a') kept = await open(id.port);
  const destination = { address: host, port: a };
  relay.apply({ verb: 'edit-destination', service: id, destination, settings: { ...masq, weight: 0 } });
  await relay.report();
  const greetings = await Promise.all(Array.from({ length: 4 }, async () => (await open(id.port)).greeting));
  t.same(greetings, ['b', 'b', 'b', 'b']);
  kept.socket.write('still there?');
  const [echo] = (await once(kept.socket, 'data')) as [Buffer];
  t.equal(echo.toString(), 'still there?');
});

t.test('connections of a deleted server hold still, and go on when it is added again', async (t) => {
  const port = await serve(named('rs'));
  const id = await service([port]);
  const { socket } = await open(id.port);
  relay.apply({ verb: 'delete-destination', service: id, destination: { address: host, port } });
  await until(async () => !(await accepts(id.port)));
  let echo = '';
  socket.on('data', (part: Buffer) => (echo += part.toString()));
  socket.write('hello');
  // A second connection to another service proves that the relay had time to move the bytes.
  const other = await open((await service([await serve(named('other'))])).port);
  t.equal(other.greeting, 'other');
  t.equal(echo, '', 'nothing reaches a server that is not in the table');
  t.equal((await entry(socket))?.state, 'ESTABLISHED');
  add(id, port);
  await until(() => echo === 'hello');
  t.ok(((await destinations(id))[0]?.active ?? 0) >= 1, 'and its connection counts are back');
});

t.test('an unused connection of a deleted server goes to another one', async (t) => {
  const silent = await serve(() => undefined);
  const id = await service([silent]);
  const socket = connect(id.port, host);
  socket.on('error', () => undefined);
  await until(async () => (await entry(socket))?.destinationPort === silent);
  const port = await serve(named('other'));
  // As the monitor does when the last server fails: both in one turn.
  relay.apply({ verb: 'delete-destination', service: id, destination: { address: host, port: silent } });
  add(id, port);
  const [greeting] = (await once(socket, 'data')) as [Buffer];
  t.equal(greeting.toString(), 'other\n');
  t.match(await entry(socket), { state: 'ESTABLISHED', destinationPort: port });
});

t.test('a persistent service sends a client where it went before', async (t) => {
  const id = await service([await serve(named('a')), await serve(named('b'))], { persistence: 60 });
  const greetings = await Promise.all(Array.from({ length: 4 }, async () => (await open(id.port)).greeting));
  t.equal(new Set(greetings).size, 1, greetings.join(' '));
  t.same(
    (await destinations(id)).map(({ persistent }) => persistent).toSorted((a, b) => a - b),
    [0, 1],
  );
  const template = (await connections()).find((one) => one.virtualPort === id.port && one.clientPort === 0);
  t.match(template, { state: 'ASSURED', client: host });
});

t.test('a reset goes through to the other side', async (t) => {
  const port = await serve((socket) => socket.once('data', () => socket.resetAndDestroy()));
  const id = await service([port]);
  const socket = connect(id.port, host);
  socket.write('x');
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  t.equal(error.code, 'ECONNRESET');
});

t.test('the PROXY protocol header comes first', async (t) => {
  const seen: Buffer[] = [];
  const port = await serve((socket) => {
    socket.once('data', (part: Buffer) => {
      seen.push(part);
      socket.end('ok');
    });
  });
  for (const proxyProtocol of ['v1', 'v2'] as const) {
    const id = await service([port], { proxyProtocol });
    seen.length = 0;
    const socket = connect(id.port, host);
    await once(socket, 'connect');
    const from = socket.localPort ?? 0;
    socket.write('GET');
    await received(socket);
    const header = seen.at(-1) ?? Buffer.alloc(0);
    if (proxyProtocol === 'v1')
      t.match(header.toString(), `PROXY TCP4 ${host} ${host} ${from} ${id.port}\r\n`);
    else {
      t.equal(header.subarray(0, 14).toString('hex'), '0d0a0d0a000d0a515549540a2111');
      t.equal(header.readUInt16BE(14), 12);
      t.same([...header.subarray(16, 24)], [127, 0, 0, 1, 127, 0, 0, 1]);
      t.same([header.readUInt16BE(24), header.readUInt16BE(26)], [from, id.port]);
    }
  }
});

t.test('an idle connection ends when its time is over', async (t) => {
  const id = await service([await serve(named('rs'))]);
  relay.apply({ verb: 'set-timeouts', timeouts: { tcp: 1, tcpFin: 0, udp: 0 } });
  await relay.report();
  const { socket } = await open(id.port);
  await new Promise((resolve) => socket.on('close', resolve));
  t.pass('the relay closed it');
  relay.apply({ verb: 'set-timeouts', timeouts: defaultTimeouts });
});

t.test('UDP: a flow per client, replies from the virtual address', async (t) => {
  const backends = await Promise.all(
    ['u1', 'u2', 'u3'].map(async (name) => {
      const socket = createSocket('udp4');
      socket.on('message', (_message, from) => {
        socket.send(name, from.port, from.address);
      });
      socket.bind(0, host);
      await once(socket, 'listening');
      return socket;
    }),
  );
  const id = await service(
    backends.map((socket) => socket.address().port),
    {},
    'udp',
  );
  const answers: string[] = [];
  for (let i = 0; i < 6; i++) {
    const client = createSocket('udp4');
    const send = setInterval(() => {
      client.send('ping', id.port, host);
    }, 20);
    const [answer, from] = (await once(client, 'message')) as [Buffer, { port: number }];
    clearInterval(send);
    answers.push(answer.toString());
    t.equal(from.port, id.port);
    client.close();
  }
  t.equal(answers.join(' '), 'u3 u2 u1 u3 u2 u1');
  t.same(
    (await destinations(id)).map(({ active, inactive }) => [active, inactive]),
    [
      [0, 2],
      [0, 2],
      [0, 2],
    ],
  );
  for (const socket of backends) socket.close();
});

t.test('a service whose port is taken says so, and works as soon as it is free', async (t) => {
  const port = await serve(named('rs'));
  const taken = createServer().listen(0, host);
  await once(taken, 'listening');
  const id = {
    kind: 'address',
    protocol: 'tcp',
    address: host,
    port: (taken.address() as AddressInfo).port,
  } as const;
  problems.length = 0;
  relay.apply({ verb: 'add-service', service: id, settings: roundRobin });
  add(id, port);
  await until(() => problems.some((text) => text.includes(`tcp:${host}:${id.port}`)));
  t.match(problems[0], /Address already in use/);
  taken.close();
  const greeting = await until(async () =>
    (await accepts(id.port)) ? (await open(id.port)).greeting : undefined,
  );
  t.equal(greeting, 'rs');
});
