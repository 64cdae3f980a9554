/** The control socket as its clients see it: a real unix socket, server and client in this process. */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, duplexPair } from 'node:stream';
import fc from 'fast-check';
import type { Test } from 'tap';
import t from 'tap';
import { applyAll } from '../../src/control/apply-all.ts';
import { ControlClient } from '../../src/control/client.ts';
import type { ControlBackend } from '../../src/control/protocol.ts';
import { maxRequestBytes } from '../../src/control/protocol.ts';
import { ControlServer } from '../../src/control/server.ts';
import { serve } from '../../src/control/session.ts';
import { clientSocketPath, controlSocketPath } from '../../src/control/socket-path.ts';
import { Director } from '../../src/director/director.ts';
import type { ServiceId, ServiceSettings } from '../../src/director/table.ts';
import type { Verb } from '../../src/director/verbs.ts';
import type { Counters, TableFill } from '../../src/engines/engine.ts';
import { zeroCounters } from '../../src/engines/engine.ts';
import type { ServiceHealth } from '../../src/observe/health.ts';
import { listServices } from '../../src/observe/listing.ts';
import type { Clock } from '../../src/util/clock.ts';
import { systemClock } from '../../src/util/clock.ts';
import { masq, roundRobin } from '../support/table.ts';

const web: ServiceId = { kind: 'address', protocol: 'tcp', address: '10.0.0.1', port: 80 };
const settings: ServiceSettings = { ...roundRobin, proxyProtocol: 'v2' };
const addWeb: Verb = { verb: 'add-service', service: web, settings };

const totals: Counters = { ...zeroCounters, connections: 3, inBytes: 2 ** 40 };

const fill: TableFill = {
  family: 6,
  table: 'persistence templates',
  used: 3,
  slots: 64,
  refused: 0,
  unpromoted: 5,
};

const ailing: ServiceHealth = {
  id: 'tcp:10.0.0.1:80',
  fallback: '127.0.0.1:80',
  fallbackActive: true,
  servers: [
    {
      name: '192.168.1.1:80',
      state: 'down',
      stateFor: 90_000.5,
      dampedFor: undefined,
      failures: 3,
      failurecount: 3,
      check: { up: false, detail: `refused ${'x'.repeat(5000)}`, milliseconds: 0.25 },
      nextCheck: 4000,
    },
    {
      name: '192.168.1.2:80',
      state: 'unchecked',
      stateFor: 0,
      dampedFor: undefined,
      failures: 0,
      failurecount: 3,
      check: undefined,
      nextCheck: undefined,
    },
  ],
};

function backendOf(director: Director, by = 'control'): ControlBackend {
  return {
    settled: () => Promise.resolve(),
    apply(verb) {
      director.apply(verb, by);
    },
    applyAll: (verbs) =>
      applyAll(verbs, (verb) => {
        director.apply(verb, by);
      }),
    list(service) {
      const found = service === undefined ? director.services() : [director.find(service)];
      const services = found.filter((each) => each !== undefined);
      return Promise.resolve(listServices(services, { services: [], totals }, { rates: () => zeroCounters }));
    },
    connections: async (take) => {
      await take([
        {
          protocol: 'tcp',
          state: 'ESTABLISHED',
          expires: 899.5,
          client: '10.0.0.9',
          clientPort: 5000,
          virtual: '10.0.0.1',
          virtualPort: 80,
          destination: '192.168.1.1',
          destinationPort: 8080,
        },
      ]);
    },
    tables: () => [fill],
    statistics: () => ({ totals, rates: { ...zeroCounters, inBytes: 5 } }),
    health: () => ({ pid: 4711, services: [ailing] }),
    timeouts: () => director.timeouts(),
    syncDaemons: () => director.syncDaemons(),
  };
}

interface Running {
  readonly director: Director;
  readonly server: ControlServer;
  readonly socket: string;
  readonly problems: string[];
}

/** Short, because the path of a socket is. */
function directory(t: Test): string {
  const created = mkdtempSync(join(tmpdir(), 'control-'));
  t.teardown(() => {
    rmSync(created, { recursive: true });
  });
  return created;
}

/** Not started yet, and of nobody's interest. */
function serverOn(socket: string): ControlServer {
  const backend = backendOf(new Director({ applied: () => undefined }));
  return new ControlServer({ socket, backend, clock: systemClock, version: '1', problem: () => undefined });
}

async function start(t: Test, options: { maxClients?: number } = {}): Promise<Running> {
  const director = new Director({ applied: () => undefined });
  const socket = join(directory(t), 'run', 'control.sock');
  const problems: string[] = [];
  const server = new ControlServer({
    socket,
    backend: backendOf(director),
    clock: systemClock,
    version: '1.2.3',
    problem: (message) => problems.push(message),
    ...options,
  });
  await server.start();
  t.teardown(() => server.stop());
  return { director, server, socket, problems };
}

/** Connects, sends this, and resolves with all lines the server sent until it, or `lines` lines, were there. */
function exchange(socket: string, bytes: string | Uint8Array, lines: number): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    let text = '';
    const client: Socket = connect(socket, () => client.write(bytes));
    client.setEncoding('utf8');
    client.on('data', (data: string) => {
      text += data;
      if (text.split('\n').length > lines) client.destroy();
    });
    client.on('close', () => {
      resolve(text.split('\n').filter((line) => line !== ''));
    });
    client.on('error', reject);
  });
}

t.test('a client can do and ask everything', async (t) => {
  const { director, socket } = await start(t);
  const client = await ControlClient.connect(socket);
  t.equal(client.version, '1.2.3');
  await client.apply(addWeb);
  t.equal(director.find(web)?.settings.proxyProtocol, 'v2');
  await client.apply({
    verb: 'add-destination',
    service: web,
    destination: { address: '192.168.1.1', port: 80 },
    settings: masq,
  });
  const [service] = await client.list(web);
  t.same(service?.destinations[0]?.id, { address: '192.168.1.1', port: 80 });
  t.same(await client.list({ ...web, port: 81 }), [], 'a service that is not there');
  await client.connections(([entry]) => {
    t.equal(entry?.expires, 899.5);
  });
  await client.apply({ verb: 'set-timeouts', timeouts: { tcp: 1, tcpFin: 0, udp: 0 } });
  t.same(await client.timeouts(), { tcp: 1, tcpFin: 120, udp: 300 });
  t.same(await client.tables(), [fill]);
  t.same(await client.syncDaemons(), []);
  const { pid, services } = await client.health();
  t.equal(pid, 4711);
  const [first, second] = ailing.servers;
  const detail = services[0]?.servers[0]?.check?.detail;
  t.match(detail, /^refused x{992}$/, 'what a server said is cut');
  t.same(services, [{ ...ailing, servers: [{ ...first, check: { ...first?.check, detail } }, second] }]);
  await t.rejects(client.apply(addWeb), { name: 'DirectorError', code: 'EEXIST' });
  await client.apply({ verb: 'flush' });
  t.same(director.services(), []);
  client.close();
  await t.rejects(client.timeouts(), { name: 'ControlUnavailable' }, 'after closing');
});

t.test('only the owner may open the socket', async (t) => {
  const { socket, server } = await start(t);
  t.equal(statSync(socket).mode & 0o777, 0o600);
  await server.stop();
  t.notOk(existsSync(socket), 'gone after the stop');
});

t.test('a socket that a dead directord left is replaced', async (t) => {
  const stale = join(directory(t), 'control.sock');
  spawnSync(process.execPath, [
    '-e',
    `require('node:net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  t.ok(existsSync(stale));
  const replacing = serverOn(stale);
  await replacing.start();
  (await ControlClient.connect(stale)).close();
  await replacing.stop();
});

t.test('a socket on which somebody answers is left alone', async (t) => {
  const { socket } = await start(t);
  const second = serverOn(socket);
  await t.rejects(second.start(), {
    name: 'ControlSocketError',
    message: new RegExp(`${socket}: another directord answers there`),
  });
  (await ControlClient.connect(socket)).close();
  t.pass('the first one still answers');
});

t.test('a file that is no socket is left alone', async (t) => {
  const socket = join(directory(t), 'control.sock');
  writeFileSync(socket, 'precious');
  const server = serverOn(socket);
  await t.rejects(server.start(), { name: 'ControlSocketError', message: /not a socket/ });
});

t.test('why there is no answer', async (t) => {
  const place = directory(t);
  await t.rejects(ControlClient.connect(join(place, 'none')), { message: /no directord answers on .*none/ });
  await t.rejects(ControlClient.connect(`/tmp/${'x'.repeat(103)}`), { message: /too long/ });
  const over = async (text: string): Promise<ControlClient> => {
    const [near, far] = duplexPair();
    far.end(text);
    return ControlClient.over(near);
  };
  await t.rejects(over('{"directord":"9","protocol":99}\n'), { message: /protocol 99, not 1/ });
  await t.rejects(over('HTTP/1.1 400\r\n'), { message: /not understood/ });
  await t.rejects(over(''), { message: /closed/ });
});

t.test('what is not understood is answered, and the next request is served', async (t) => {
  const { socket, problems } = await start(t);
  const good = '{"id":7,"query":"timeouts"}';
  const requests = [
    'garbage',
    '[]',
    'null',
    '{"id":1}',
    '{"id":2,"query":"everything"}',
    '{"id":3,"verb":{"verb":"add-service","service":{"kind":"address","protocol":"tcp","address":"x","port":80}}}',
    '{"id":4,"verb":{"verb":"zero","service":{"kind":"fwmark","mark":4294967296,"family":"inet"}}}',
  ];
  const answers = await exchange(socket, [...requests, good, ''].join('\n'), 9);
  const parsed = answers
    .slice(1)
    .map((line) => JSON.parse(line) as { id: unknown; error?: unknown; ok?: unknown });
  t.same(
    parsed.map(({ id }) => id),
    [null, null, null, 1, 2, 3, 4, 7],
  );
  t.match(parsed[5]?.error, { code: 'EPROTO', message: /verb.service.address: expected an IP address/ });
  t.ok(parsed[7]?.ok);
  t.same(problems, []);
});

t.test('half a message is nothing', async (t) => {
  const { director, socket } = await start(t);
  const whole = JSON.stringify({ id: 1, verb: addWeb });
  await new Promise<void>((resolve) => {
    const client = connect(socket, () => client.end(whole));
    client.resume();
    client.on('close', () => {
      resolve();
    });
  });
  t.same(director.services(), []);
});

t.test('a message in single bytes is a message, and a half-closed client gets its answer', async (t) => {
  const { director, socket } = await start(t);
  const client = connect(socket);
  for (const byte of Buffer.from(`${JSON.stringify({ id: 1, verb: addWeb })}\n`))
    client.write(Uint8Array.of(byte));
  client.end();
  let text = '';
  for await (const chunk of client) text += String(chunk);
  t.match(text, /\{"id":1,"ok":null\}\n$/);
  t.equal(director.services().length, 1);
});

t.test('an endless line is cut off', async (t) => {
  const { socket } = await start(t);
  const answers = await exchange(socket, Buffer.alloc(maxRequestBytes + 2, 'x'), 2);
  t.match(answers[1], /"EPROTO".*more than 1048576 bytes/);
});

t.test('beyond the limit clients are told and others still served', async (t) => {
  const { socket } = await start(t, { maxClients: 2 });
  const first = await ControlClient.connect(socket);
  const second = await ControlClient.connect(socket);
  await t.rejects(ControlClient.connect(socket), { message: /2 clients/ });
  t.ok(await first.timeouts());
  second.close();
  first.close();
});

t.test('who does not read is cut off in time, and held in bounds until then', async (t) => {
  const director = new Director({ applied: () => undefined });
  for (let port = 1; port <= 2000; port++) {
    director.apply({ verb: 'add-service', service: { ...web, port }, settings }, 'test');
  }
  let giveUp = (): void => undefined;
  const clock: Clock = {
    now: () => 0,
    after(_milliseconds, callback) {
      giveUp = callback;
      return { cancel: () => undefined };
    },
  };
  let written = 0;
  const stuck = new Duplex({
    read() {
      this.push('{"id":1,"query":"services"}\n{"id":2,"query":"services"}\n');
    },
    write(chunk: Buffer, _encoding, callback) {
      written += chunk.length;
      // Takes the hello and then nothing.
      if (written < 100) callback();
    },
  });
  const over = serve(stuck, { backend: backendOf(director), clock, version: '1', problem: t.fail.bind(t) });
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  t.ok(stuck.writableLength < 200_000, `${stuck.writableLength} bytes wait`);
  giveUp();
  await over;
  t.ok(stuck.destroyed);
});

t.test('a listing of 10,000 services arrives', async (t) => {
  const { director, socket } = await start(t);
  for (let n = 0; n < 10_000; n++) {
    const address = `10.1.${n >> 8}.${n & 0xff}`;
    director.apply({ verb: 'add-service', service: { ...web, address }, settings }, 'test');
  }
  const client = await ControlClient.connect(socket);
  const services = await client.list();
  t.equal(services.length, 10_000);
  t.match(services[9999]?.id, { address: '10.1.39.15' });
  client.close();
});

t.test('no bytes throw or change the table', async (t) => {
  const director = new Director({ applied: () => undefined });
  const nearly = fc.constantFrom(
    '{"id":',
    '{"id":1,"verb":{"verb":"flush"}',
    '"service":{"kind":"fwmark","mark":1,"family":"inet"}',
    '\n',
    '}',
    '__proto__',
  );
  const bytes = fc
    .array(
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        nearly.map((text) => Buffer.from(text)),
        fc.json().map((text) => Buffer.from(`${text}\n`)),
      ),
    )
    .map((parts) => Buffer.concat(parts));
  await fc.assert(
    fc.asyncProperty(bytes, async (input) => {
      const [near, far] = duplexPair();
      const problems: string[] = [];
      const served = serve(far, {
        backend: backendOf(director),
        clock: systemClock,
        version: '1',
        problem: (message) => problems.push(message),
      });
      near.resume();
      near.end(input);
      await served;
      return problems.length === 0 && director.services().length === 0;
    }),
    { numRuns: 300 },
  );
  t.pass();
});

t.test('where the socket is', (t) => {
  const root = { uid: 0, env: {} };
  const user = { uid: 1000, env: { XDG_RUNTIME_DIR: '/run/user/1000' } };
  t.equal(controlSocketPath(undefined, root), '/run/directord/control.sock');
  t.equal(controlSocketPath(undefined, user), '/run/user/1000/directord/control.sock');
  t.equal(controlSocketPath(undefined, { uid: 1000, env: {} }), '/tmp/directord-1000/control.sock');
  t.equal(controlSocketPath(undefined, { uid: 0, env: { DIRECTORD_CONTROL: '/x' } }), '/x');
  t.equal(controlSocketPath('/y', { uid: 0, env: { DIRECTORD_CONTROL: '/x' } }), '/y');
  const system = '/run/directord/control.sock';
  t.equal(
    clientSocketPath(undefined, user, (path) => path === system),
    system,
    'root has one, the user none',
  );
  t.equal(
    clientSocketPath(undefined, user, () => true),
    '/run/user/1000/directord/control.sock',
  );
  t.equal(
    clientSocketPath('/y', user, (path) => path === system),
    '/y',
  );
  t.end();
});
