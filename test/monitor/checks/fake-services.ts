/**
 * Fake servers that say what those of a recording said. Where the recording shows no answers, they give the usual one of their
 * protocol, as far as their mode lets them.
 */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createServer as createSecureServer } from 'node:tls';
import type { Test } from 'tap';
import { listen } from './loopback.ts';
import { dnsAnswer, httpAnswer, ldapAnswers, radiusAnswer, sipAnswer } from './fake-answers.ts';
import { ftpTalk } from './fake-ftp.ts';
import type { Talk } from './heard.ts';
import { lines, messages, wholes } from './heard.ts';
import type { Exchange, RecordedService } from './recorded-services.ts';

export interface FakeService {
  readonly port: number;
  /** What was heard, an entry for each connection that said something, or for each datagram. */
  readonly heard: Buffer[];
  /** Resolves when every client has gone, and so has been heard to its end. */
  readonly left: () => Promise<unknown>;
}

export async function fakeService(
  t: Test,
  recorded: RecordedService,
  exchanges: readonly Exchange[],
): Promise<FakeService> {
  const heard: Buffer[] = [];
  const serve = protocols[recorded.service] ?? scripted;
  if (['sip-udp', 'dns', 'radius'].includes(recorded.service)) {
    return { port: await datagrams(t, recorded, exchanges, heard), heard, left: () => Promise.resolve() };
  }
  let connections = 0;
  const ends: Promise<unknown>[] = [];
  const accept = (socket: Socket) => {
    if (recorded.mode === 'rst') return void socket.resetAndDestroy();
    const exchange = exchanges[Math.min(connections++, exchanges.length - 1)] ?? [];
    ends.push(new Promise((resolve) => socket.once('end', resolve).once('close', resolve)));
    let index: number | undefined;
    socket.on('data', (chunk) => {
      index ??= heard.push(Buffer.alloc(0)) - 1;
      heard[index] = Buffer.concat([heard[index] ?? Buffer.alloc(0), Buffer.from(chunk)]);
    });
    // clients may leave when they like
    socket.on('error', () => undefined);
    if (recorded.mode !== 'silent') void serve(recorded, exchange)(socket).catch(() => socket.destroy());
  };
  const secure = /^(?:https|imaps|pops|ldaps)$/.test(recorded.service);
  const server = secure
    ? createSecureServer(selfSigned(t), accept)
    : createServer({ allowHalfOpen: true }, accept);
  server.on('tlsClientError', () => undefined);
  return { port: await listen(t, server), heard, left: () => Promise.all(ends) };
}

type Serve = (recorded: RecordedService, exchange: Exchange) => Talk;

const httpTalk: Serve =
  ({ mode }) =>
  async (socket) => {
    const [request] = (await once(socket, 'data')) as [Buffer];
    socket.end(httpAnswer(request, mode));
  };

const ldapTalk: Serve =
  ({ mode }) =>
  async (socket) => {
    for await (const request of messages(socket))
      for (const answer of ldapAnswers(request, mode)) socket.write(answer);
  };

/** By name of the fake server. */
const protocols: Readonly<Record<string, Serve>> = {
  http: httpTalk,
  https: httpTalk,
  http_proxy: httpTalk,
  ldap: ldapTalk,
  ldaps: ldapTalk,
  ftp: ({ mode }, exchange) => ftpTalk(exchange, mode),
  'dns-tcp':
    ({ mode }) =>
    async (socket) => {
      for await (const framed of messages(socket)) {
        const answer = dnsAnswer(framed.subarray(2), mode);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        socket.write(Buffer.concat([length, answer]));
      }
    },
  'sip-tcp':
    ({ mode }) =>
    async (socket) => {
      for await (const request of messages(socket)) socket.write(sipAnswer(request, mode));
    },
};

/** Says the recorded turns, each after what it was an answer to; what was not recorded gets no answer. */
function scripted(_: RecordedService, exchange: Exchange): Talk {
  return async (socket) => {
    let next = 0;
    const say = (tag?: Tag) => {
      for (let turn = exchange[next]; turn?.from === 'server'; turn = exchange[(next += 1)])
        socket.write(tag === undefined ? turn.bytes : retagged(turn.bytes, tag));
      if (next > 0 && next >= exchange.length) socket.end();
    };
    say();
    if (exchange.length === 0) return;
    const untilEnd = exchange.some(({ last }) => last);
    for await (const words of untilEnd ? wholes(socket) : lines(socket)) {
      const later = (same: (words: string) => boolean) =>
        exchange.findIndex(
          ({ from, bytes }, i) => i >= next && from === 'client' && same(bytes.toString('latin1')),
        );
      const text = words.toString('latin1');
      const exact = later((recorded) => recorded === text);
      const found = exact >= 0 ? exact : later((recorded) => untagged(recorded) === untagged(text));
      if (found < 0) continue;
      const recorded = exchange[found]?.bytes.toString('latin1') ?? '';
      next = found + 1;
      say({ recorded: tagOf(recorded), here: tagOf(text) });
    }
  };
}

/** Commands of IMAP are numbered, and so are the answers. */
interface Tag {
  readonly recorded: string;
  readonly here: string;
}

const tagOf = (line: string): string => /^\d+ /.exec(line)?.[0] ?? '';
const untagged = (line: string): string => line.slice(tagOf(line).length);

function retagged(answer: Buffer, { recorded, here }: Tag): string {
  const lines = answer.toString('latin1').split(/(?<=\n)/);
  const retag = (line: string) => (line.startsWith(recorded) ? here + line.slice(recorded.length) : line);
  return lines.map(retag).join('');
}

async function datagrams(
  t: Test,
  recorded: RecordedService,
  [exchange = []]: readonly Exchange[],
  heard: Buffer[],
): Promise<number> {
  const [question, answer] = [exchange[0]?.bytes, exchange[1]?.bytes];
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  socket.on('message', (request, { port, address }) => {
    heard.push(request);
    if (question === undefined || answer === undefined || recorded.mode === 'silent') return;
    socket.send(answerTo(recorded, request, { question, answer }), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket.address().port;
}

/** The recorded answer, with what it had from the recorded question taken from this one. */
function answerTo(
  { service, config }: RecordedService,
  request: Buffer,
  { question, answer }: { question: Buffer; answer: Buffer },
): Buffer {
  if (service === 'dns') return Buffer.concat([request.subarray(0, 2), answer.subarray(2)]);
  if (service === 'radius') return radiusAnswer(request, answer, /secret="(.*)"/.exec(config)?.[1] ?? '');
  const theirs = question.toString('latin1').split('\r\n');
  const ours = request.toString('latin1').split('\r\n');
  const lines = answer.toString('latin1').split('\r\n');
  const echoed = lines.map((line) => (line === '' ? line : (ours[theirs.indexOf(line)] ?? line)));
  return Buffer.from(echoed.join('\r\n'), 'latin1');
}

function selfSigned(t: Test): { key: Buffer; cert: Buffer } {
  const folder = t.testdir();
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const options = ['-x509', '-nodes', '-days', '1', '-subj', '/CN=wrong.example'];
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-keyout', key, '-out', cert];
  execFileSync('openssl', ['req', ...options, ...newKey], { stdio: 'ignore' });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}
