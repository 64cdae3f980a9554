import t from 'tap';
import { Outbox } from '../../src/observe/outbox.ts';
import { FakeClock, settle } from '../monitor/fake-clock.ts';

interface Held {
  readonly mail: number;
  readonly signal: AbortSignal;
  done(): void;
  fail(error: Error): void;
}

function open() {
  const clock = new FakeClock();
  const held: Held[] = [];
  const failed: string[] = [];
  const log: string[] = [];
  const outbox = new Outbox<number>({
    clock,
    send: (mail, signal) =>
      new Promise((done, fail) => {
        held.push({ mail, signal, done, fail });
      }),
    failed: (mail, reason) => failed.push(`${mail}: ${reason}`),
    log: (message) => log.push(message),
  });
  return { clock, held, failed, log, outbox };
}

void t.test('four at a time, in their order; a failure is said and holds up nobody', async (t) => {
  const { clock, held, failed, log, outbox } = open();
  for (let mail = 0; mail < 6; mail += 1) outbox.add(mail);
  t.same(
    held.map(({ mail }) => mail),
    [0, 1, 2, 3],
  );
  held[0]?.done();
  held[1]?.fail(new Error('550 5.1.1 no\r\n[Sun] such user\u001b'));
  await settle();
  t.same(
    held.map(({ mail }) => mail),
    [0, 1, 2, 3, 4, 5],
  );
  t.same(failed, ['1: 550 5.1.1 no [Sun] such user']);
  for (const each of held) each.done();
  await settle();
  t.same([log, clock.timers], [[], 0]);
  await outbox.close(5000);
});

void t.test('a mail server that hangs: each mail has 30 seconds, and the queue an end', async (t) => {
  const { clock, held, failed, log, outbox } = open();
  for (let mail = 0; mail < 250; mail += 1) outbox.add(mail);
  t.equal(held.length, 4);
  t.match(failed.splice(0), [/^204: 200 wait already/], 'said once');
  await clock.advance(30_000);
  t.same(failed.splice(0), [
    '0: timed out after 30 s',
    '1: timed out after 30 s',
    '2: timed out after 30 s',
    '3: timed out after 30 s',
  ]);
  t.ok(held[0]?.signal.aborted);
  t.equal(held.length, 8, 'the next have their turn');
  while (held.length < 204) {
    for (const each of held) each.done();
    await settle();
  }
  for (const each of held) each.done();
  await settle();
  t.same(log, ['46 email messages were not sent']);
});

void t.test('the end waits for mails, but not for ever', async (t) => {
  const first = open();
  first.outbox.add(1);
  const closed = first.outbox.close(5000);
  first.held[0]?.done();
  await closed;
  t.same([first.failed, first.log, first.clock.timers], [[], [], 0]);

  const second = open();
  for (let mail = 0; mail < 6; mail += 1) second.outbox.add(mail);
  let ended = false;
  const closing = second.outbox.close(5000).then(() => (ended = true));
  await second.clock.advance(4900);
  t.notOk(ended);
  await second.clock.advance(100);
  await closing;
  await settle();
  t.equal(second.held.length, 4, 'no other is begun');
  t.match(second.failed, [/^0: directord ends/, /^1:/, /^2:/, /^3:/]);
  t.same(second.log, ['2 email messages were not sent']);
  t.ok(second.held.every(({ signal }) => signal.aborted));
  await open().outbox.close(5000);
});
