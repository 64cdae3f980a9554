import { createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { element, number, tags } from '../../../src/monitor/checks/ber.ts';
import { check, freePort, listen } from './loopback.ts';

const bindSuccess = message(1, 0x61, '0a010004000400');
const entry = message(2, 0x64, '04036f3d613000');
const done = message(2, 0x65, '0a010004000400');

function message(id: number, operation: number, hex: string): Buffer {
  return element(tags.sequence, number(tags.integer, id), element(operation, Buffer.from(hex, 'hex')));
}

function result(code: number, text: string, ...more: readonly Buffer[]): string {
  const parts = [
    number(tags.enumerated, code),
    element(tags.octets, ''),
    element(tags.octets, text),
    ...more,
  ];
  return Buffer.concat(parts).toString('hex');
}

/** Answers each thing that is said with the next of these, and closes after the last one. */
async function ask(t: Test, answers: readonly Buffer[], settings: Parameters<typeof check>[0] = {}) {
  const heard: string[] = [];
  const server = createServer((socket: Socket) => {
    const left = [...answers];
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      heard.push(bytes.toString('hex'));
      const answer = left.shift();
      if (answer !== undefined) socket.write(answer);
      if (left.length === 0) socket.end();
    });
  });
  const port = await listen(t, server);
  const asked = { type: 'negotiate', service: 'ldap', request: '/o=a', ...settings, port } as const;
  return { heard, ...(await check(asked)) };
}

void t.test('says what ldirectord says, and goodbye', async (t) => {
  const sent =
    '3033020102632e040e64633d75706d632c2064633d66720a01000a0102020100020100010100870b6f626a656374436c6173733000';
  const request = '/dc=upmc, dc=fr';
  const anonymous = await ask(t, [bindSuccess, Buffer.concat([entry, done])], { request, receive: /^o=a$/ });
  t.match(anonymous, { up: true, detail: 'Success: o=a' });
  t.same(anonymous.heard.slice(0, 2), ['300c020101600702010304008000', sent]);
  const named = await ask(t, [bindSuccess, Buffer.concat([entry, done])], { login: 'cn=a', password: 'p' });
  t.equal(named.heard[0], '3011020101600c0201030404636e3d61800170');
  const halfNamed = await ask(t, [bindSuccess], { login: 'cn=a' });
  t.equal(halfNamed.heard[0], '300c020101600702010304008000', 'a name without a password is nobody');
});

void t.test('down, and why', async (t) => {
  const mismatch = await ask(t, [bindSuccess, Buffer.concat([entry, done])], { receive: /^o=b$/ });
  t.match(mismatch, { up: false, detail: 'Response mismatch: "o=a" does not match "^o=b$"' });
  const refused = await check({
    type: 'negotiate',
    service: 'ldap',
    port: await freePort(t, createServer()),
  });
  t.match(refused, { up: false, detail: 'Connection failed: Connection refused' });
  const referral = element(0xa3, element(tags.octets, 'ldap://b/'));
  const cases: readonly (readonly [string, readonly Buffer[], string])[] = [
    ['nothing', [Buffer.alloc(0)], 'Bind failed: closed the connection'],
    ['half a bind', [bindSuccess.subarray(0, 9)], 'Bind failed: closed the connection'],
    ['a refusal', [message(1, 0x61, result(49, ''))], 'Bind failed: invalidCredentials'],
    [
      'its words, in one line',
      [message(1, 0x61, result(53, 'not\n now\u0007'))],
      'Bind failed: unwillingToPerform: not now',
    ],
    ['an unknown code', [message(1, 0x61, result(99, ''))], 'Bind failed: result 99'],
    ['a referral', [message(1, 0x61, result(10, '', referral))], 'Bind failed: referral to ldap://b/'],
    ['another answer', [message(1, 0x65, result(0, ''))], 'Bind failed: answered something else'],
    ['another message', [message(7, 0x61, result(0, ''))], 'Bind failed: answered message 7 instead of 1'],
    ['its last words', [message(0, 0x78, result(52, 'going down'))], 'Bind failed: unavailable: going down'],
    ['another protocol', [Buffer.from('220 mail\r\n')], 'Bind failed: closed the connection'],
    ['no message', [Buffer.from('0400', 'hex')], 'Bind failed: no LDAP: not a message'],
    ['an empty message', [Buffer.from('3000', 'hex')], 'Bind failed: no LDAP: not a message'],
    ['an empty answer', [message(1, 0x61, '')], 'Bind failed: no LDAP: not a result'],
    ['much too much', [Buffer.from('30847fffffff', 'hex')], 'Bind failed: an answer of 2147483653 bytes'],
    ['no entry', [bindSuccess, done], 'No answer received: 0 entries'],
    ['two entries', [bindSuccess, Buffer.concat([entry, entry, done])], 'No answer received: 2 entries'],
    ['no such entry', [bindSuccess, message(2, 0x65, result(32, ''))], 'No answer received: noSuchObject'],
    ['an entry without an end', [bindSuccess, entry], 'No answer received: closed the connection'],
    [
      'a nameless entry',
      [bindSuccess, message(2, 0x64, '')],
      'No answer received: no LDAP: an entry without a name',
    ],
    [
      'a bind again',
      [bindSuccess, message(2, 0x61, result(0, ''))],
      'No answer received: answered something else',
    ],
  ];
  for (const [what, answers, detail] of cases) t.match(await ask(t, answers), { up: false, detail }, what);
});

void t.test('up in spite of references and of bytes that come one by one', async (t) => {
  const reference = message(2, 0x73, '04096c6461703a2f2f622f');
  t.match(await ask(t, [bindSuccess, Buffer.concat([reference, entry, done])]), { up: true });
  const bytes = Buffer.concat([bindSuccess, entry, done]);
  const server = createServer((socket: Socket) => {
    socket.setNoDelay().on('error', () => undefined);
    const next = (at: number): void => {
      if (at < bytes.length)
        socket.write(bytes.subarray(at, at + 1), () => {
          setImmediate(next, at + 1);
        });
    };
    next(0);
  });
  const port = await listen(t, server);
  t.match(await check({ type: 'negotiate', service: 'ldap', port, request: '/o=a' }), {
    up: true,
    detail: 'Success: o=a',
  });
});

void t.test('ends with its deadline', async (t) => {
  const abort = new AbortController();
  const server = createServer(() => {
    abort.abort(new Error('timed out'));
  });
  const port = await listen(t, server);
  const verdict = await check({ type: 'negotiate', service: 'ldap', port }, {}, abort.signal);
  t.match(verdict, { up: false, detail: 'timed out' });
});
