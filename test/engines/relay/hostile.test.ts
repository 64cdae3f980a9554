/** The relay among clients, servers and operators that mean no good, or are tired: what must not disturb the others. */
import { execFileSync } from 'node:child_process';
import type { Socket as UdpSocket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import t from 'tap';
import { encodeSockaddr } from '../../../src/engines/relay/socket-address.ts';
import * as c from '../../../src/platform/libc.ts';
import { roundRobin } from '../../support/table.ts';
import { until } from '../../support/until.ts';
import {
  accepts,
  add,
  connections,
  entry,
  host,
  leave,
  named,
  open,
  problems,
  relay,
  serve,
  service,
} from './stage.ts';

const MSG_OOB = 1;
const MSG_DONTWAIT = 0x40;

/** A client of the C library, which can do what Node's cannot. */
function rawClient(port: number): number {
  const fd = c.socket(c.AF_INET, c.SOCK_STREAM | c.SOCK_CLOEXEC, 0);
  const address = encodeSockaddr(host, port);
  if (c.connect(fd, address, address.length) < 0) throw new Error(c.errorText(c.errno()));
  return fd;
}

/** Answers a question mark with its name and anything else with the same; its port. */
async function udpServer(name: string): Promise<number> {
  const socket = createSocket('udp4', (message, from) => {
    socket.send(message.toString() === '?' ? name : message, from.port, from.address);
  });
  socket.bind(0, host).unref();
  await once(socket, 'listening');
  return socket.address().port;
}

/** Asks until there is an answer of so many bytes. */
async function ask(
  client: UdpSocket,
  port: number,
  question: Buffer | string,
  size: number,
): Promise<string> {
  let wanted: string | undefined;
  const take = (answer: Buffer): void => {
    if (answer.length === size) wanted = answer.toString();
  };
  client.on('message', take);
  const answer = await until(() => {
    client.send(question, port, host);
    return wanted !== undefined && { text: wanted };
  });
  client.off('message', take);
  return answer.text;
}

/** Process number of the forwarder, our only child. */
function forwarder(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ')[0]);
}

/** Sets what the forwarder may have open: each thread, and the process. */
function limitOpenFiles(most: number): void {
  execFileSync('prlimit', ['--pid', String(forwarder()), `--nofile=${most}:`]);
}

t.before(() => relay.start());
t.teardown(leave);

t.test('deleting a service disturbs nobody, and its connections go on when it is back', async (t) => {
  const bystander = await open((await service([await serve(named('other'))])).port);
  const port = await serve((socket) => void socket.pipe(socket));
  const id = await service([port]);
  const unused = connect(id.port, host).on('error', () => undefined);
  const used = connect(id.port, host).on('error', () => undefined);
  let echo = '';
  used.on('data', (part: Buffer) => (echo += part.toString()));
  used.write('before ');
  await until(async () => echo === 'before ' && (await entry(unused))?.state === 'ESTABLISHED');
  relay.apply({ verb: 'delete-service', service: id });
  await until(async () => !(await accepts(id.port)));
  used.write('after');
  bystander.socket.write('still here?');
  const [answer] = (await once(bystander.socket, 'data')) as [Buffer];
  t.equal(answer.toString(), 'still here?');
  relay.apply({ verb: 'add-service', service: id, settings: roundRobin });
  add(id, port);
  await until(() => echo === 'before after');
  for (const socket of [unused, used, bystander.socket]) socket.destroy();
});

t.test('a service whose socket closes and opens again is never in its own way', async (t) => {
  const port = await serve(named('rs'));
  const id = await service([port]);
  problems.length = 0;
  relay.apply({ verb: 'edit-service', service: id, settings: { ...roundRobin, persistence: 60 } });
  await relay.report();
  await until(() => accepts(id.port));
  relay.apply({ verb: 'delete-destination', service: id, destination: { address: host, port } });
  await new Promise(setImmediate);
  add(id, port);
  await relay.report();
  await until(() => accepts(id.port));
  t.same(problems, []);
});

t.test('urgent data holds nothing up', async (t) => {
  const port = await serve((socket) => void socket.pipe(socket));
  const client = rawClient((await service([port])).port);
  const got = new Uint8Array(64);
  for (let round = 1; round <= 10; round++) {
    for (const [text, flags] of [
      ['abc', 0],
      ['!', MSG_OOB],
      ['def', 0],
    ] as const) {
      c.send(client, Buffer.from(text), text.length, flags);
    }
    let count = 0;
    await until(() => {
      count += Math.max(0, c.recv(client, got, got.length, MSG_DONTWAIT));
      return count >= 6;
    });
  }
  c.close(client);
  t.pass('every byte came back');
});

t.test('a client that resets after its FIN is gone at once', async (t) => {
  const id = await service([await serve(() => undefined, true)]);
  const client = rawClient(id.port);
  const waiting = async (): Promise<boolean> =>
    (await connections()).some((one) => one.virtualPort === id.port && one.state === 'CLOSE_WAIT');
  c.shutdown(client, c.SHUT_WR);
  await until(waiting);
  c.setsockopt(client, c.SOL_SOCKET, c.SO_LINGER, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), 8);
  c.close(client);
  await until(async () => !(await waiting()));
  t.pass('not when the minute of CLOSE_WAIT is over');
});

t.test('UDP: datagrams of every size, none and the largest too', async (t) => {
  const id = await service([await udpServer('u1')], {}, 'udp');
  const client = createSocket('udp4').unref();
  for (const size of [0, 1, 65_507]) {
    t.equal((await ask(client, id.port, Buffer.alloc(size, 'x'), size)).length, size);
  }
  client.close();
});

t.test('what every client meets is told once', async (t) => {
  const good = await service([await udpServer('good')], {}, 'udp');
  const id = await service([await udpServer('u1')], {}, 'udp');
  const client = createSocket('udp4').unref();
  await ask(client, good.port, '?', 4);
  problems.length = 0;
  limitOpenFiles(0);
  const late = createSocket('udp4').unref();
  for (let i = 0; i < 50; i++) late.send('?', id.port, host);
  await until(() => problems.length > 0);
  t.equal(await ask(client, good.port, '?', 4), 'good', 'a flow that has its socket goes on');
  const complaint = 'a UDP client was refused: Too many open files';
  t.equal(problems.filter((text) => text === complaint).length, 1);
  limitOpenFiles(4096);
  t.equal(await ask(late, id.port, '?', 2), 'u1');
  client.close();
  late.close();
});

t.test('a forwarder that stands still is said to', async (t) => {
  process.kill(forwarder(), 'SIGSTOP');
  try {
    await t.rejects(relay.report(), { message: /has not answered/ });
  } finally {
    process.kill(forwarder(), 'SIGCONT');
  }
  await relay.report();
});
