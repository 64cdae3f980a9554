import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname } from 'node:os';
import t from 'tap';
import { CheckTimeout } from '../../../src/monitor/check.ts';
import { decodeAnswer, encodeQuestion, reverseName } from '../../../src/monitor/checks/dns-message.ts';
import { searchList, searchedNames } from '../../../src/monitor/checks/search-list.ts';
import {
  a,
  aaaa,
  asked,
  framed,
  name,
  record,
  reply,
  tcpServer,
  typeA,
  typeAaaa,
  typeCname,
  typePtr,
  zone,
} from './fake-dns.ts';
import { check, freePort, listen } from './loopback.ts';
import { freeUdpPort, hurriedClock, listenUdp } from './udp-loopback.ts';

const dns = { type: 'negotiate', service: 'dns', protocol: 'udp', request: '/www.x.y' } as const;

void t.test('up: the address of a name', async (t) => {
  const questions: Buffer[] = [];
  const port = await listenUdp(t, (question) => {
    questions.push(question);
    return zone({ [typeA]: [a(76), a(77)] })(question);
  });
  t.match(await check({ ...dns, port, receive: /^192.168.1.77$/ }), {
    up: true,
    detail: '192.168.1.76, 192.168.1.77',
  });
  t.match(await check({ ...dns, port }), { up: true }, 'any address will do');
  const [first, second] = questions.map((question) => question.toString('hex'));
  t.match(first, /^....0100000100000000000003777777017801790000010001$/, 'as ldirectord asks');
  t.not(first?.slice(0, 4), second?.slice(0, 4), 'with an id of its own');
  t.equal(questions.length, 2, 'and for nothing else, as there is an address');
});

void t.test('up: an IPv6 address, an alias, a server at an IPv6 address', async (t) => {
  const six = await listenUdp(t, zone({ [typeA]: [a(1)], [typeAaaa]: [aaaa] }), '::1');
  t.match(await check({ ...dns, address: '::1', port: six, receive: /2001:db8::7/ }), {
    up: true,
    detail: '2001:db8::7',
  });
  const alias = record(typeCname, name('web', 'x', 'y'));
  const web = Buffer.from([...name('web', 'x', 'y'), ...a(9).subarray(2)]);
  const port = await listenUdp(t, zone({ [typeA]: [alias, web] }));
  t.match(await check({ ...dns, port, receive: /\.9$/ }), { up: true, detail: '192.168.1.9' });
});

void t.test('up: the name of an address', async (t) => {
  const sections: string[] = [];
  const port = await listenUdp(t, (question) => {
    sections.push(asked(question).section.toString('hex'));
    // "www", and the rest where the question has "168.192.in-addr.arpa"
    return [reply(question, { records: [record(typePtr, [3, 0x77, 0x77, 0x77, 0xc0, 17])] })];
  });
  const result = await check({ ...dns, port, request: '/192.168.1.77', receive: /^www/ });
  t.match(result, { up: true, detail: 'www.168.192.in-addr.arpa' });
  t.same(sections, ['0237370131033136380331393207696e2d61646472046172706100000c0001'], 'as ldirectord asks');
  t.equal(
    reverseName('2001:db8::567:89ab'),
    'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa',
    'the example of RFC 3596',
  );
});

void t.test('wrong answer', async (t) => {
  const mismatch = await listenUdp(t, zone({ [typeA]: [a(1)], [typeAaaa]: [aaaa] }));
  t.match(await check({ ...dns, port: mismatch, receive: /77/ }), {
    up: false,
    detail: '192.168.1.1, 2001:db8::7 does not match "77"',
  });
  const empty = await listenUdp(t, zone({}));
  t.match(await check({ ...dns, port: empty }), { up: false, detail: 'no AAAA record of www.x.y' });
  for (const [code, status] of [
    'FORMERR',
    'SERVFAIL',
    'NXDOMAIN',
    'NOTIMP',
    'REFUSED',
    'RCODE 6',
  ].entries()) {
    const port = await listenUdp(t, (question) => [reply(question, { flags: code + 1 })]);
    t.match(await check({ ...dns, port }), { up: false, detail: `${status} for www.x.y` });
  }
  const terse = await listenUdp(t, (question) => [reply(question, { flags: 5, section: Buffer.alloc(0) })]);
  t.match(
    await check({ ...dns, port: terse }),
    { up: false, detail: 'REFUSED for www.x.y' },
    'without the question',
  );
});

void t.test('without a request', async (t) => {
  const sections: string[] = [];
  const port = await listenUdp(t, (question) => {
    sections.push(asked(question).section.toString('hex'));
    return zone({})(question);
  });
  t.match(await check({ ...dns, port, request: '/' }), { up: true, detail: 'answers' });
  t.same(sections, ['0000010001'], 'an address of the root, as ldirectord asks');
  t.match(await check({ ...dns, port, request: '/', receive: /77/ }), {
    up: false,
    detail: 'no AAAA record of the root',
  });
});

const other = Buffer.concat([name('www', 'x', 'z'), Buffer.from([0, 1, 0, 1])]);
const nonsense: Readonly<Record<string, (question: Buffer) => Buffer>> = {
  nothing: () => Buffer.alloc(0),
  'half a header': (question) => reply(question, {}).subarray(0, 7),
  'half a question': (question) => reply(question, {}).subarray(0, -3),
  'half a record': (question) => reply(question, { records: [a(77)] }).subarray(0, -3),
  'fewer records than it says': (question) => reply(question, { count: 2, records: [a(77)] }),
  'an address of 5 bytes': (question) => reply(question, { records: [record(typeA, [192, 168, 1, 77, 0])] }),
  'too long a record': (question) => reply(question, { records: [record(typeA, [192, 168, 1, 77], 500)] }),
  'a name that points to itself': (question) => reply(question, { records: [Buffer.from([0xc0, 25, 0, 1])] }),
  'a name that points ahead': (question) =>
    reply(question, { records: [Buffer.from([0xc0, 29, 0, 1, 0, 0])] }),
  'a label of no kind': (question) => reply(question, { records: [Buffer.from([0x80, 12, 0, 1])] }),
  'a name without an end': (question) => reply(question, { records: [Buffer.alloc(400, 1)] }),
};
const strange: Readonly<Record<string, (question: Buffer) => Buffer>> = {
  'another id': (question) => reply(question, { id: question.readUInt16BE(0) ^ 1, records: [a(77)] }),
  'another question': (question) => reply(question, { section: other, records: [a(77)] }),
  'the question itself': (question) => question,
};

void t.test('what is no answer is ignored until there is one', async (t) => {
  for (const [kind, why] of [
    [nonsense, 'a malformed answer'],
    [strange, 'an answer to another question'],
  ] as const) {
    for (const [what, make] of Object.entries(kind)) {
      const question = encodeQuestion(7, { name: 'www.x.y', type: 'A' });
      t.throws(() => decodeAnswer(make(question), question), { message: why }, what);
    }
  }
  const port = await listenUdp(t, (question) => [
    ...Object.values({ ...nonsense, ...strange }).map((make) => make(question)),
    reply(question, { records: [a(1)] }),
  ]);
  t.match(await check({ ...dns, port }), { up: true, detail: '192.168.1.1' });
});

void t.test('a name in other letters is the same', async (t) => {
  const port = await listenUdp(t, (question) => {
    const section = Buffer.concat([name('WWW', 'x', 'Y'), Buffer.from([0, 1, 0, 1])]);
    return [reply(question, { section, records: [a(1)] })];
  });
  t.match(await check({ ...dns, port }), { up: true });
});

void t.test('a name that does not print', async (t) => {
  const port = await listenUdp(t, (question) => [
    reply(question, { records: [record(typePtr, name('a.b', '\x1b[2J', 'y'))] }),
  ]);
  t.match(await check({ ...dns, port, request: '/10.0.0.1' }), { up: true, detail: 'a\\046b.\\027[2J.y' });
});

void t.test('many addresses', async (t) => {
  const port = await listenUdp(t, zone({ [typeA]: Array.from({ length: 20 }, (_, i) => a(i)) }));
  t.match((await check({ ...dns, port, receive: /\.19$/ })).detail, /^192\.168\.1\.0, .*1\.7 and 12 more$/);
});

void t.test('a lost datagram is sent again, at a third of the deadline', async (t) => {
  const clock = hurriedClock(2);
  const questions = new Set<string>();
  const port = await listenUdp(t, (question, nth) => {
    questions.add(question.toString('hex'));
    return nth < 3 ? [] : [reply(question, { records: [a(1)] })];
  });
  t.match(await check({ ...dns, port, negotiatetimeout: 6 }, { clock }), { up: true });
  t.equal(questions.size, 1, 'the same one');
  t.same(clock.waits, [2000, 2000, 2000]);
});

void t.test('slow', async (t) => {
  const abort = new AbortController();
  const port = await listenUdp(t, (question, nth) => {
    // by the fifth question the answers to the first have been heard
    if (nth === 5) abort.abort(new CheckTimeout(3));
    return [question];
  });
  t.match(await check({ ...dns, port }, { clock: hurriedClock(10) }, abort.signal), {
    up: false,
    detail: 'timed out after 3 s, ignored: an answer to another question',
  });
  const silent = new AbortController();
  const mute = await listenUdp(t, () => {
    silent.abort(new CheckTimeout(3));
    return [];
  });
  t.match(await check({ ...dns, port: mute }, {}, silent.signal), {
    up: false,
    detail: 'timed out after 3 s',
  });
});

void t.test('refused', async (t) => {
  t.match(await check({ ...dns, port: await freeUdpPort() }), { up: false, detail: 'Connection refused' });
  const port = await freePort(t, createServer());
  t.match(await check({ ...dns, protocol: 'tcp', port }), { up: false, detail: 'Connection refused' });
  t.match(await check({ ...dns, port: 0 }), { up: false, detail: 'no port to connect to' });
});

void t.test('names that are none', async (t) => {
  for (const request of ['/a..b', `/${'x'.repeat(64)}.y`, `/${'abc.'.repeat(64)}x`, '/.x'])
    t.match(await check({ ...dns, port: 9, request }), { up: false, detail: /^"\S+" is not a domain name$/ });
});

const many = Array.from({ length: 200 }, (_, i) => a(i));

void t.test('over tcp', async (t) => {
  const tcp = { ...dns, protocol: 'tcp' } as const;
  const whole = (question: Buffer): Buffer =>
    framed(zone({ [typeA]: many, [typeAaaa]: [aaaa] })(question)[0] ?? question);
  const port = await listen(t, tcpServer(whole, { piece: 7 }));
  t.match(
    await check({ ...tcp, port, receive: /\.199$/ }),
    { up: true, detail: /and 192 more$/ },
    'in small pieces',
  );
  t.match(
    await check({ ...tcp, port, receive: /:7$/ }),
    { up: true, detail: '2001:db8::7' },
    'two questions, one connection',
  );
  const situations: readonly [what: string, sent: (question: Buffer) => Buffer, detail: string][] = [
    [
      'half',
      (question) => whole(question).subarray(0, 100),
      'closed the connection in the middle of its answer',
    ],
    ['nothing', () => Buffer.alloc(0), 'closed the connection without an answer'],
    ['an empty message', () => Buffer.from([0, 0]), 'a malformed answer'],
    [
      'a malformed message',
      (question) => framed(nonsense['half a record']?.(question) ?? question),
      'a malformed answer',
    ],
    [
      'another id',
      (question) => framed(strange['another id']?.(question) ?? question),
      'an answer to another question',
    ],
  ];
  for (const [what, sent, detail] of situations) {
    const bad = await listen(t, tcpServer(sent, { close: true }));
    t.match(await check({ ...tcp, port: bad }), { up: false, detail }, what);
  }
});

void t.test('a truncated answer is asked for again over tcp', async (t) => {
  const server = tcpServer((question) => framed(reply(question, { records: many })));
  const tcpPort = await listen(t, server);
  // the port is free for UDP too, or else this fails at once
  await listenUdp(
    t,
    (question) => [reply(question, { flags: 0x0200, count: 200, records: many.slice(0, 3) })],
    '127.0.0.1',
    tcpPort,
  );
  t.match(await check({ ...dns, port: tcpPort, receive: /\.199$/ }), { up: true });
});

void t.test('a name without a dot is looked for in the domains of resolv.conf', async (t) => {
  t.same(searchList('', 'host'), []);
  t.same(searchList('', 'host.a.b'), ['a.b']);
  t.same(searchList('domain x.y\n', 'host.a.b'), ['x.y']);
  t.same(searchList('# search z\nsearch x.y z ; w\nnameserver 10.0.0.1\ndomain v\n', 'host.a.b'), [
    'x.y',
    'z',
  ]);
  t.same(searchedNames('www', ['x.y', 'z']), ['www.x.y', 'www.z']);
  t.same(searchedNames('www', []), ['www']);
  t.same(searchedNames('www.', ['x']), ['www.']);
  t.same(searchedNames('', ['x']), ['']);

  const domains = searchList(readFileSync('/etc/resolv.conf', 'utf8'), hostname());
  const names = searchedNames('www', domains);
  const last = names.at(-1) ?? 'www';
  const port = await listenUdp(t, (question) => {
    const { section } = asked(question);
    const wanted = section.subarray(0, -4).equals(name(...last.split('.')));
    return [reply(question, wanted ? { records: [a(1)] } : { flags: 3 })];
  });
  t.match(
    await check({ ...dns, port, request: '/www' }),
    { up: true, detail: '192.168.1.1' },
    'the last of them',
  );
});
