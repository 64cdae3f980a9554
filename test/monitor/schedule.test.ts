import t from 'tap';
import type { Checker, CheckResult } from '../../src/monitor/check.ts';
import { Schedule } from '../../src/monitor/schedule.ts';
import { FakeClock } from './fake-clock.ts';
import { checkSettings } from '../support/configuration.ts';

const ok: CheckResult = { up: true, detail: 'ok', milliseconds: 0 };

/** `count` checks with a pause of one second, named `0`, `1`, ... */
function checks(count: number, interval = 1) {
  const ids = Array.from({ length: count }, (_, i) => String(i));
  return new Map(ids.map((id) => [id, { settings: checkSettings({ id, checktimeout: 5 }), interval }]));
}

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
  const schedule = new Schedule({ clock, check, deliver: () => undefined });
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

void t.test('no more than 100 checks start in 10 ms', async (t) => {
  const clock = new FakeClock();
  const starts: number[] = [];
  const check: Checker = (_, signal) => {
    starts.push(clock.now());
    return hang(signal);
  };
  const schedule = new Schedule({ clock, check, deliver: () => undefined });
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
  const schedule = new Schedule({ clock, check: (_, signal) => hang(signal), deliver });
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
  const schedule = new Schedule({ clock, check, deliver: (_, result) => results.push(result) });
  schedule.set(checks(1));
  schedule.set(new Map());
  await clock.advance(20_000);
  t.match(reason, { name: 'CheckCancelled' });
  t.same(results, []);
  t.equal(clock.timers, 0);
});
