import { createHash, createHmac } from 'node:crypto';
import t from 'tap';
import { CheckTimeout } from '../../../src/monitor/check.ts';
import { decodeResponse, encodeRequest } from '../../../src/monitor/checks/radius-packet.ts';
import { askInTime } from '../../../src/monitor/deadline.ts';
import { checkSettings } from '../../support/configuration.ts';
import { check } from './loopback.ts';
import { freeUdpPort, hurriedClock, listenUdp } from './udp-loopback.ts';

const secret = 'xyzzy5461';
const radius = {
  type: 'negotiate',
  service: 'radius',
  protocol: 'udp',
  request: '/',
  login: 'nemo',
  password: 'arctangent',
  secret,
} as const;

const accept = 2;
const reject = 3;
const challenge = 11;

interface Response {
  readonly code?: number;
  readonly id?: number;
  readonly attributes?: readonly (readonly [type: number, value: string | Buffer])[];
  /** Whether, and with what, a Message-Authenticator is made. */
  readonly proof?: string;
  readonly secret?: string;
}

/** A response as RFC 2865 section 3 and RFC 3579 section 3.2 have it. */
function respond(request: Buffer, response: Response): Buffer {
  const { code = accept, id = request.readUInt8(1), attributes = [], proof } = response;
  const all = [...attributes, ...(proof === undefined ? [] : [[80, Buffer.alloc(16)] as const])];
  const body = Buffer.concat(
    all.map(([type, value]) => Buffer.from([type, Buffer.byteLength(value) + 2, ...Buffer.from(value)])),
  );
  const packet = Buffer.concat([Buffer.from([code, id, 0, 20 + body.length]), request.subarray(4, 20), body]);
  if (proof !== undefined)
    createHmac('md5', proof)
      .update(packet)
      .digest()
      .copy(packet, packet.length - 16);
  createHash('md5')
    .update(packet)
    .update(response.secret ?? secret)
    .digest()
    .copy(packet, 4);
  return packet;
}

/** The attributes of a request, by their type. */
function attributesOf(request: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 20; at < request.length; at += request.readUInt8(at + 1))
    found.set(request.readUInt8(at), request.subarray(at + 2, at + request.readUInt8(at + 1)));
  return found;
}

/** What was hidden (RFC 2865 section 5.2). */
function revealed(hidden: Buffer, authenticator: Buffer): string {
  const blocks = Array.from({ length: hidden.length / 16 }, (_, i) => hidden.subarray(i * 16, i * 16 + 16));
  const clear = blocks.map((block, i) => {
    const mask = createHash('md5')
      .update(secret)
      .update(blocks[i - 1] ?? authenticator)
      .digest();
    return block.map((byte, j) => byte ^ (mask[j] ?? 0));
  });
  return Buffer.concat(clear).toString().replace(/\0+$/, '');
}

void t.test('up', async (t) => {
  let request: Buffer = Buffer.alloc(0);
  const port = await listenUdp(t, (datagram) => {
    request = datagram;
    return [respond(datagram, {})];
  });
  t.match(await check({ ...radius, port }), { up: true, detail: 'Access-Accept' });
  t.equal(request[0], 1);
  t.equal(request.readUInt16BE(2), request.length);
  const attributes = attributesOf(request);
  t.same([...attributes.keys()], [1, 2, 4, 80], 'as ldirectord asks, and a proof at the end');
  t.equal(attributes.get(1)?.toString(), 'nemo');
  t.equal(revealed(attributes.get(2) ?? request, request.subarray(4, 20)), 'arctangent');
  t.same([...(attributes.get(4) ?? [])], [127, 0, 0, 1]);
  const unproved = Buffer.from(request).fill(0, request.length - 16);
  t.same(attributes.get(80), createHmac('md5', secret).update(unproved).digest());
});

void t.test('up: IPv6, and what else a response may have', async (t) => {
  let request: Buffer = Buffer.alloc(0);
  const port = await listenUdp(
    t,
    (datagram) => {
      request = datagram;
      const attributes = [
        [18, 'Hello\nnemo'],
        [6, '\0\0\0\x01'],
        [18, 'and welcome\x1b'],
      ] as const;
      // what is behind the packet is padding
      return [Buffer.concat([respond(datagram, { attributes, proof: secret }), Buffer.from('more')])];
    },
    '::1',
  );
  t.match(await check({ ...radius, address: '::1', port }), {
    up: true,
    detail: 'Access-Accept: Hello nemo and welcome',
  });
  t.equal(attributesOf(request).get(95)?.toString('hex'), '00000000000000000000000000000001');
});

void t.test('passwords of every length', async (t) => {
  for (const length of [0, 1, 15, 16, 17, 127, 128]) {
    const password = 'x'.repeat(length);
    const request = encodeRequest({ login: 'nemo', password, secret, nas: '10.2.0.1' });
    const hidden = attributesOf(request).get(2) ?? request;
    t.equal(hidden.length, Math.max(16, Math.ceil(length / 16) * 16), `${length} bytes`);
    t.equal(revealed(hidden, request.subarray(4, 20)), password);
  }
  t.match(await check({ ...radius, port: 9, password: 'x'.repeat(129) }), {
    up: false,
    detail: 'the password is longer than 128 bytes',
  });
  t.match(await check({ ...radius, port: 9, login: 'x'.repeat(254) }), {
    up: false,
    detail: 'the login is longer than 253 bytes',
  });
});

void t.test('wrong answer', async (t) => {
  const attributes = [[18, 'who?']] as const;
  const rejecting = await listenUdp(t, (request) => [respond(request, { code: reject, attributes })]);
  t.match(await check({ ...radius, port: rejecting }), { up: false, detail: 'Access-Reject: who?' });
  const challenging = await listenUdp(t, (request) => [respond(request, { code: challenge })]);
  t.match(await check({ ...radius, port: challenging }), { up: false, detail: 'Access-Challenge' });
});

const ignored: readonly [what: string, make: (request: Buffer) => Buffer, why: string][] = [
  ['nothing', () => Buffer.alloc(0), 'a malformed response'],
  ['half', (request) => respond(request, {}).subarray(0, 19), 'a malformed response'],
  [
    'half of the attributes',
    (request) => respond(request, { proof: secret }).subarray(0, -1),
    'a malformed response',
  ],
  [
    'a length below that of a header',
    (request) => respond(request, {}).fill(19, 3, 4),
    'a malformed response',
  ],
  [
    'an attribute without an end',
    (request) => respond(request, { attributes: [[18, 'x']] }).fill(9, 21, 22),
    'a malformed response',
  ],
  [
    'an attribute of no length',
    (request) => respond(request, { attributes: [[18, 'x']] }).fill(0, 21, 22),
    'a malformed response',
  ],
  [
    'half an attribute',
    (request) => respond(request, { attributes: [[18, 'x']] }).fill(2, 21, 22),
    'a malformed response',
  ],
  [
    'another id',
    (request) => respond(request, { id: request.readUInt8(1) ^ 1 }),
    'a response to another request',
  ],
  ['another code', (request) => respond(request, { code: 5 }), 'a response to another request'],
  ['the request itself', (request) => request, 'a response to another request'],
  [
    'another secret',
    (request) => respond(request, { secret: 'guess' }),
    'a response with a wrong authenticator (is the secret right?)',
  ],
  [
    'a forged accept',
    (request) => respond(request, { code: reject }).fill(accept, 0, 1),
    'a response with a wrong authenticator (is the secret right?)',
  ],
  [
    'a false proof',
    (request) => respond(request, { proof: 'guess' }),
    'a response with a wrong Message-Authenticator',
  ],
  [
    'half a proof',
    (request) => respond(request, { attributes: [[80, 'x']] }),
    'a response with a wrong Message-Authenticator',
  ],
];

void t.test('what is no answer is ignored until there is one', async (t) => {
  const request = encodeRequest({ login: 'nemo', password: '', secret, nas: '10.2.0.1' });
  for (const [what, make, why] of ignored)
    t.throws(() => decodeResponse(make(request), request, secret), { message: why }, what);
  const port = await listenUdp(t, (request) => [
    ...ignored.map(([, make]) => make(request)),
    respond(request, { attributes: [[18, 'at last']] }),
  ]);
  t.match(await check({ ...radius, port }), { up: true, detail: 'Access-Accept: at last' });
});

void t.test('a wrong secret is named when the time is over', async (t) => {
  const abort = new AbortController();
  const port = await listenUdp(t, (request, nth) => {
    // by the fifth request the responses to the first have been heard
    if (nth === 5) abort.abort(new CheckTimeout(3));
    return [respond(request, { secret: 'guess' })];
  });
  const result = await check({ ...radius, port }, { clock: hurriedClock(10) }, abort.signal);
  t.match(result, {
    up: false,
    detail: 'timed out after 3 s, ignored: a response with a wrong authenticator (is the secret right?)',
  });
  t.notMatch(result.detail, /xyzzy|arctangent/);
});

void t.test('refused, and a lost datagram', async (t) => {
  t.match(await check({ ...radius, port: await freeUdpPort() }), { up: false, detail: 'Connection refused' });
  const clock = hurriedClock(2);
  const requests = new Set<string>();
  const port = await listenUdp(t, (request, nth) => {
    requests.add(request.toString('hex'));
    return nth < 3 ? [] : [respond(request, {})];
  });
  t.match(await check({ ...radius, port, checktimeout: 9 }, { clock }), { up: true });
  t.equal(requests.size, 1, 'the same request, so that the server knows that it is');
  t.same(clock.waits, [3000, 3000, 3000]);
});

void t.test('the deadline is checktimeout, as for ldap', async (t) => {
  for (const [service, expected] of [
    ['radius', 5],
    ['ldap', 5],
    ['ldaps', 5],
    ['dns', 30],
  ] as const) {
    const clock = hurriedClock(0);
    const answer = { up: true, detail: '', milliseconds: 0 };
    await askInTime(() => Promise.resolve(answer), checkSettings({ type: 'negotiate', service }), clock);
    t.same(clock.waits, [expected * 1000], service);
  }
});
