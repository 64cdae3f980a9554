/** No Oracle server can be had here: what is said of a listener that has no database, or is none. Queries are in the unit test. */
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import { Place } from './place.ts';
import { probeOne } from './probe.ts';

const lines = [
  'service=oracle',
  'login="joe"',
  'passwd="secret"',
  'database="ORCL"',
  'request="SELECT 1 FROM dual"',
];
/** A packet of the listener's protocol: length, checksum, type, flags, checksum, contents. */
function packet(type: number, contents: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(header.length + contents.length);
  header.writeUInt8(type, 4);
  return Buffer.concat([header, contents]);
}

/** The packet Refuse: two reasons, the length of the text, the text. */
function refuse(text: string): Buffer {
  const reasons = Buffer.from([0x22, 0, 0, 0]);
  reasons.writeUInt16BE(text.length, 2);
  return packet(4, Buffer.concat([reasons, Buffer.from(text)]));
}

/** @returns what is said of a listener that answers the first packet so */
async function asked(t: Test, answer: (socket: Socket) => void) {
  const place = new Place();
  t.teardown(() => place.close());
  const server = createServer((socket) => {
    socket
      .on('error', () => undefined)
      .once('data', () => {
        answer(socket);
      });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => server.close());
  return probeOne(place, (server.address() as AddressInfo).port, lines);
}

void t.test('oracle: a listener without the database', async (t) => {
  const words = '(DESCRIPTION=(ERR=12505)(ERROR_STACK=(ERROR=(CODE=12505)(EMFI=4))))';
  const { up, detail, said } = await asked(t, (socket) => socket.end(refuse(words)));
  t.equal(up, false);
  t.match(
    detail,
    /^NJS-519: .* SID "ORCL" is not registered with the listener at host 127\.0\.0\.1 port \d+\.$/,
  );
  t.notMatch(said, 'secret');
});

void t.test('oracle: refused', async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const { up, detail } = await probeOne(place, await place.freePort(), lines);
  t.equal(up, false);
  t.match(detail, /^NJS-503: .*ECONNREFUSED/);
});

void t.test('oracle: silent', async (t) => {
  t.match(await asked(t, () => undefined), { up: false, detail: 'timed out after 5 s' });
});

void t.test('oracle: half', async (t) => {
  const { up, detail } = await asked(t, (socket) => socket.end(refuse('(ERR=1)').subarray(0, 9)));
  t.equal(up, false);
  t.match(detail, /^NJS-500: .*end-of-file/);
});
