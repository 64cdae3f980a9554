import { readdirSync, readlinkSync } from 'node:fs';
import t from 'tap';
import type { RawSocketModule } from '../../src/platform/ping.ts';
import { createPing } from '../../src/platform/ping.ts';
import { systemClock } from '../../src/util/clock.ts';
import { FakeClock } from '../monitor/fake-clock.ts';

const skip = process.getuid?.() === 0 ? false : 'raw sockets need root';
const once = { count: 1, milliseconds: 1000 };
const never = () => new AbortController().signal;

/** Open sockets of this process. */
function sockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false; // the descriptor of the listing itself
    }
  }).length;
}

void t.test('the loopback addresses answer', { skip }, async (t) => {
  const ping = createPing(systemClock);
  const before = sockets();
  await t.resolves(ping('127.0.0.1', once, never()));
  await t.resolves(ping('::1', once, never()));
  t.equal(sockets(), before, 'nothing stays open');
});

void t.test('many at once share a socket', { skip }, async (t) => {
  const ping = createPing(systemClock);
  const before = sockets();
  const all = Promise.all(Array.from({ length: 50 }, (_, i) => ping(`127.0.0.${i + 1}`, once, never())));
  t.equal(sockets(), before + 1);
  await t.resolves(all);
  t.equal(sockets(), before);
});

void t.test('no answer: every attempt is made, and the deadline ends it', async (t) => {
  const clock = new FakeClock();
  const sent: string[] = [];
  let closed = 0;
  // A network in which nobody answers.
  const silence: RawSocketModule = {
    createSocket: () => ({
      on: () => undefined,
      send: (packet, _offset, _length, address, done) => {
        sent.push(`${address} ${packet.readUInt16BE(6)}`);
        done(null, packet.length);
      },
      close: () => {
        closed += 1;
      },
    }),
    createChecksum: () => 0,
    writeChecksum: (packet) => packet,
  };
  const ping = createPing(clock, () => silence);
  const abort = new AbortController();
  const result = ping('192.0.2.1', { count: 3, milliseconds: 1000 }, abort.signal).then(
    () => 'answered',
    (error: unknown) => String(error),
  );
  await clock.advance(2500);
  abort.abort(new Error('timed out after 3 s'));
  t.match(await result, /timed out after 3 s/);
  t.same(sent, ['192.0.2.1 1', '192.0.2.1 2', '192.0.2.1 3']);
  t.equal(clock.timers, 0);
  t.equal(closed, 1);
});

void t.test('an aborted ping sends nothing', async (t) => {
  const ping = createPing(systemClock);
  await t.rejects(ping('127.0.0.1', once, AbortSignal.abort(new Error('too late'))), { message: 'too late' });
});
