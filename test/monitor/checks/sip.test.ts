import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import t from 'tap';
import { CheckTimeout } from '../../../src/monitor/check.ts';
import { check, freePort, listen } from './loopback.ts';
import { freeUdpPort, hurriedClock, listenUdp } from './udp-loopback.ts';

const sip = { type: 'negotiate', service: 'sip', protocol: 'udp', request: '/', login: 'me@x' } as const;
const tcp = { ...sip, protocol: 'tcp' } as const;

/** A response with the fields that have to be those of the request. */
function respond(request: Buffer | string, status: string): string {
  const copied = String(request).match(/^(Via|To|From|Call-ID|CSeq): .*$/gm) ?? [];
  return [`SIP/2.0 ${status}`, ...copied.map((line) => line.trim()), 'Content-Length: 0', '', ''].join(
    '\r\n',
  );
}

/** Answers a request over TCP, once it is there. */
function tcpServer(answer: (request: string, socket: Socket) => void) {
  return createServer((socket) => {
    socket.on('error', () => socket.destroy());
    let request = '';
    socket
      .setEncoding('utf8')
      .setNoDelay()
      .on('data', (text: string) => {
        request += text;
        if (request.endsWith('\r\n\r\n')) answer(request, socket);
      });
  });
}

function words(login: string, host: string): RegExp {
  const lines = [
    `OPTIONS sip:${login} SIP/2\\.0`,
    `Via: SIP/2\\.0/UDP ${host}:\\d+;branch=z9hG4bKhjhs8ass877`,
    'Max-Forwards: 70',
    `To: <sip:${login}>`,
    `From: <sip:${login}>;tag=1928301774`,
    'Call-ID: [0-9a-f]{16}',
    'CSeq: 63104 OPTIONS',
    `Contact: <sip:${login}>`,
    'Accept: application/sdp',
    'Content-Length: 0',
  ];
  return new RegExp(`^${lines.join('\\r\\n')}\\r\\n\\r\\n$`);
}

void t.test('up', async (t) => {
  const requests: string[] = [];
  const port = await listenUdp(t, (request) => {
    requests.push(request.toString());
    return [respond(request, '200 OK')];
  });
  t.match(await check({ ...sip, port }), { up: true, detail: 'SIP/2.0 200 OK' });
  t.match(await check({ ...sip, port, login: '' }), { up: true });
  t.match(requests[0], words('me@x', '127\\.0\\.0\\.1'), 'the words of ldirectord');
  t.match(requests[1], words('', '127\\.0\\.0\\.1'), 'without a login too');
  t.not(
    requests[0]?.match(/Call-ID.*/)?.[0],
    requests[1]?.match(/Call-ID.*/)?.[0],
    'each is a call of its own',
  );
});

void t.test('up: over tcp, in pieces, after provisional responses', async (t) => {
  let seen = '';
  const port = await listen(
    t,
    tcpServer((request, socket) => {
      seen = request;
      const answer = `\r\n${respond(request, '100 Trying')}${respond(request, '200 OK')}`;
      for (const piece of answer.match(/.{1,9}/gs) ?? []) socket.write(piece);
    }),
  );
  t.match(await check({ ...tcp, port }), { up: true, detail: 'SIP/2.0 200 OK' });
  t.match(seen, words('me@x', '127\\.0\\.0\\.1'));
});

void t.test('up: IPv6', async (t) => {
  let seen = '';
  const port = await listenUdp(
    t,
    (request) => {
      seen = request.toString();
      return [respond(request, '200 OK')];
    },
    '::1',
  );
  t.match(await check({ ...sip, address: '::1', port }), { up: true });
  t.match(seen, words('me@x', '\\[::1\\]'));
});

void t.test('wrong answer', async (t) => {
  for (const status of ['404 Not Found', '503 Service Unavailable', '202 Accepted', '200']) {
    const detail = `SIP/2.0 ${status}`;
    const udpPort = await listenUdp(t, (request) => [respond(request, status)]);
    t.match(await check({ ...sip, port: udpPort }), { up: false, detail });
    const port = await listen(
      t,
      tcpServer((request, socket) => socket.write(respond(request, status))),
    );
    t.match(
      await check({ ...tcp, port }),
      { up: false, detail },
      'over tcp, though the connection stays open',
    );
  }
  const web = await listen(
    t,
    tcpServer((_, socket) => socket.write('HTTP/1.1 400 Bad Request\r\n')),
  );
  t.match(await check({ ...tcp, port: web }), { up: false, detail: 'HTTP/1.1 400 Bad Request' });
});

void t.test('half', async (t) => {
  const half = await listen(
    t,
    tcpServer((request, socket) => socket.end(respond(request, '200 OK').slice(0, 60))),
  );
  t.match(await check({ ...tcp, port: half }), {
    up: false,
    detail: /^closed the connection in the middle of/,
  });
  const line = await listen(
    t,
    tcpServer((_, socket) => socket.end('SIP/2.0 200 OK\r\n')),
  );
  t.match(await check({ ...tcp, port: line }), { up: false, detail: 'closed the connection' });
  const nothing = await listen(
    t,
    tcpServer((_, socket) => socket.end()),
  );
  t.match(await check({ ...tcp, port: nothing }), {
    up: false,
    detail: 'closed the connection without a word',
  });
});

const ignored: readonly [why: string, make: (request: Buffer) => string][] = [
  ['an empty datagram', () => ''],
  ['SIP/2.0 100 Trying', (request) => respond(request, '100 Trying')],
  ['SIP/2.0 183 Session Progress', (request) => respond(request, '183 Session Progress')],
  ['SIP/2.0 200 OK, cut off in its header', (request) => respond(request, '200 OK').slice(0, -2)],
  ['a response to another call', (request) => respond(request, '200 OK').replace(/Call-ID: ./, 'i: x')],
  [
    'a response to another call',
    (request) => respond(request, '404 Not Found').replace(/Call-ID: ./, 'call-id :x'),
  ],
];

void t.test('what is no answer is ignored until there is one', async (t) => {
  for (const [why, make] of ignored) {
    const abort = new AbortController();
    const port = await listenUdp(t, (request, nth) => {
      // by the fifth request the responses to the first have been heard
      if (nth === 5) abort.abort(new CheckTimeout(3));
      return [make(request)];
    });
    t.match(await check({ ...sip, port }, { clock: hurriedClock(10) }, abort.signal), {
      up: false,
      detail: `timed out after 3 s, ignored: ${why}`,
    });
  }
  const port = await listenUdp(t, (request) => [
    ...ignored.map(([, make]) => make(request)),
    respond(request, '200 OK'),
  ]);
  t.match(await check({ ...sip, port }), { up: true });
});

void t.test('without a Call-ID a response is as good', async (t) => {
  const port = await listenUdp(t, () => ['SIP/2.0 200 OK\r\n\r\n']);
  t.match(await check({ ...sip, port }), { up: true });
});

void t.test('refused, and a lost datagram', async (t) => {
  t.match(await check({ ...sip, port: await freeUdpPort() }), { up: false, detail: 'Connection refused' });
  t.match(await check({ ...tcp, port: await freePort(t, createServer()) }), {
    up: false,
    detail: 'Connection refused',
  });
  const clock = hurriedClock(1);
  const port = await listenUdp(t, (request, nth) => (nth < 2 ? [] : [respond(request, '200 OK')]));
  t.match(await check({ ...sip, port, negotiatetimeout: 3 }, { clock }), { up: true });
  t.same(clock.waits, [1000, 1000]);
});
