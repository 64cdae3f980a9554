import t from 'tap';
import type { Checker, CheckResult } from '../../src/monitor/check.ts';
import { Schedule } from '../../src/monitor/schedule.ts';
import { spread } from '../../src/monitor/spread.ts';
import { FakeClock } from './fake-clock.ts';
import { checkSettings } from '../support/configuration.ts';

const ok: CheckResult = { up: true, detail: 'ok', milliseconds: 0 };

/** `count` checks with a pause of one second, named `0`, `1`, ... */
function checks(count: number, interval = 1) {
  const ids = Array.from({ length: count }, (_, i) => String(i));
  return new Map(ids.map((id) => [id, { settings: checkSettings({ id, checktimeout: 5 }), interval }]));
}

/** All have the same place in the interval. */
const together = (): number => 0;

/** Answers when the signal aborts and not before, as a check of a black hole does. */
const hang = (signal: AbortSignal): Promise<CheckResult> =>
  new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      resolve({ up: false, detail: (signal.reason as Error).message, milliseconds: 0 });
    });
  });

void t.test('1000 servers, 100 of them black holes: the other 900 keep their interval', async (t) => {
  const clock = new FakeClock();
  const begun = new Map<string, number[]>();
  const check: Checker = ({ id }, signal) => {
    begun.set(id, [...(begun.get(id) ?? []), clock.now()]);
    if (Number(id) % 10 === 0) return hang(signal);
    return new Promise((resolve) =>
      clock.after(5, () => {
        resolve(ok);
      }),
    );
  };
  const schedule = new Schedule({ clock, spread: together, check, deliver: () => undefined });
  schedule.set(checks(1000));
  await clock.advance(30_000);

  const gaps = (blackHole: boolean) =>
    [...begun]
      .filter(([id]) => (Number(id) % 10 === 0) === blackHole)
      .flatMap(([, times]) => times.slice(1).map((time, i) => time - (times[i] ?? 0)));
  const first = Math.max(...[...begun.values()].map(([time]) => time ?? Infinity));
  t.ok(first <= 100, `every server was checked within 100 ms of the start (${first} ms)`);
  t.ok(gaps(false).length > 900 * 27);
  t.ok(Math.min(...gaps(false)) >= 1005, 'the pause begins at the end of a check');
  t.ok(Math.max(...gaps(false)) <= 1005 * 1.1, `longest interval ${Math.max(...gaps(false))} ms`);
  t.ok(Math.min(...gaps(true)) >= 6000, 'a black hole costs its own deadline and nobody else');
  t.ok(Math.max(...gaps(true)) <= 6000 * 1.1);

  await schedule.stop();
  t.equal(clock.timers, 0);
});

void t.test('1000 checks that began together spread over their interval', async (t) => {
  const clock = new FakeClock();
  const begun = new Map<string, number[]>();
  const check: Checker = ({ id }) => {
    begun.set(id, [...(begun.get(id) ?? []), clock.now()]);
    return Promise.resolve(ok);
  };
  const schedule = new Schedule({ clock, spread, check, deliver: () => undefined });
  const ids = Array.from({ length: 1000 }, (_, i) => `connect:none:tcp:10.2.${i >> 8}.${i & 255}:80:`);
  schedule.set(
    new Map(ids.map((id) => [id, { settings: checkSettings({ id, checktimeout: 5 }), interval: 10 }])),
  );
  // until the pacer has let all begin
  await clock.advance(100);
  const waits = ids.map((id) => schedule.nextIn(id) ?? Infinity);
  await clock.advance(45_000);

  const gaps = [...begun.values()].flatMap((times) =>
    times.slice(1).map((time, i) => time - (times[i] ?? 0)),
  );
  t.ok(Math.max(...gaps) <= 10_011, `none waits longer than the interval (${Math.max(...gaps)} ms)`);
  t.ok(Math.min(...[...begun.values()].map(({ length }) => length)) >= 5, 'nor is asked less often');
  const inSlot = new Map<number, number>();
  for (const time of [...begun.values()].flat()) {
    // the first round is the pacer's
    if (time < 10_100) continue;
    const slot = Math.floor(time / 10);
    inSlot.set(slot, (inSlot.get(slot) ?? 0) + 1);
  }
  const most = Math.max(...inSlot.values());
  t.ok(most <= 8, `at most ${most} start in the same 10 ms`);
  const tenths = Array.from(
    { length: 10 },
    (_, i) => waits.filter((wait) => Math.floor(wait / 1000) === i).length,
  );
  t.ok(Math.min(...tenths) > 70, `each tenth of the interval has its part: ${tenths.join(' ')}`);
  await schedule.stop();
});

void t.test('when a check comes next', async (t) => {
  const clock = new FakeClock();
  const schedule = new Schedule({
    clock,
    spread: () => 0.75,
    check: (_, signal) => (clock.now() === 0 ? Promise.resolve(ok) : hang(signal)),
    deliver: () => undefined,
  });
  schedule.set(checks(1, 8));
  await clock.advance(500);
  t.equal(schedule.nextIn('0'), 1500, 'only the first pause is shorter');
  t.equal(schedule.nextIn('another'), undefined);
  await clock.advance(3000);
  t.equal(schedule.nextIn('0'), 0, 'it is under way');
  await clock.advance(4500);
  t.equal(schedule.nextIn('0'), 7000);
  await schedule.stop();
});

void t.test('no more than 100 checks start in 10 ms', async (t) => {
  const clock = new FakeClock();
  const starts: number[] = [];
  const check: Checker = (_, signal) => {
    starts.push(clock.now());
    return hang(signal);
  };
  const schedule = new Schedule({ clock, spread: together, check, deliver: () => undefined });
  schedule.set(checks(250));
  t.equal(starts.length, 100, 'the first start at once');
  await clock.advance(10);
  t.equal(starts.length, 200);
  await clock.advance(10);
  t.equal(starts.length, 250, 'all run at the same time');
  await schedule.stop();
});

void t.test('the deadline aborts the check with a reason that says so', async (t) => {
  const clock = new FakeClock();
  const results: string[] = [];
  const deliver = (id: string, { detail }: CheckResult) => results.push(`${id}: ${detail} at ${clock.now()}`);
  const schedule = new Schedule({ clock, spread: together, check: (_, signal) => hang(signal), deliver });
  const timeouts = { checktimeout: 2, negotiatetimeout: 3, checkcount: 4 };
  const wanted = (['connect', 'negotiate', 'ping', 'external'] as const).map((type) => {
    const settings = checkSettings({ id: type, type, ...timeouts });
    return [type, { settings, interval: 100 }] as const;
  });
  schedule.set(new Map(wanted));
  await clock.advance(10_000);
  t.same(results, [
    'connect: timed out after 2 s at 2000',
    'external: timed out after 2 s at 2000',
    'negotiate: timed out after 3 s at 3000',
    'ping: timed out after 8 s at 8000',
  ]);
  await schedule.stop();
});

void t.test('a check that is no longer wanted is cancelled and its answer dropped', async (t) => {
  const clock = new FakeClock();
  const results: CheckResult[] = [];
  let reason: unknown;
  const check: Checker = async (_, signal) => {
    const result = await hang(signal);
    reason = signal.reason;
    return result;
  };
  const schedule = new Schedule({
    clock,
    spread: together,
    check,
    deliver: (_, result) => results.push(result),
  });
  schedule.set(checks(1));
  schedule.set(new Map());
  await clock.advance(20_000);
  t.match(reason, { name: 'CheckCancelled' });
  t.same(results, []);
  t.equal(clock.timers, 0);
});
