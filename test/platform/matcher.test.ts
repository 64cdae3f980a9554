import t from 'tap';
import { createMatcher } from '../../src/platform/matcher.ts';

const forever = /^(a+)+$/;
const text = `${'a'.repeat(40)}b`;
const never = new AbortController().signal;

void t.test('the first text that matches', async (t) => {
  const find = createMatcher();
  t.equal(await find(/wel+/, ['lost', 'all is well', 'well'], never), 'all is well');
  t.equal(await find(/lost$/i, ['well', 'LOST'], never), 'LOST');
  t.equal(await find(/lost/, ['well'], never), undefined);
  t.equal(await find(/a.c/, ['a.c', 'abc'], never), 'a.c');
  t.same(await Promise.all(['x1', 'y', 'x2'].map((each) => find(/^x\d/, [each], never))), [
    'x1',
    undefined,
    'x2',
  ]);
});

void t.test('a pattern that comes to no end is ended, and holds up the others only once', async (t) => {
  const find = createMatcher();
  t.equal(await find(/we.l/, ['well'], never), 'well');
  const began = performance.now();
  const others = find(forever, [text], never).catch((error: unknown) => error);
  t.equal(await find(/we.l/, ['well'], never), 'well', 'they wait, and go on');
  t.match(await others, { message: `looking for ${String(forever)} took longer than 1 s` });
  t.ok(performance.now() - began < 3000);
  const again = [1, 2, 3].map(() => find(forever, [text], never).catch(() => 'ended'));
  const soon = performance.now();
  t.equal(await find(/we.l/, ['well'], never), 'well');
  t.ok(performance.now() - soon < 900, 'from then on they do not wait for it');
  t.same(await Promise.all(again), ['ended', 'ended', 'ended']);
});

void t.test('nobody waits longer than the check has time', async (t) => {
  const find = createMatcher();
  const abort = new AbortController();
  const one = find(forever, [text], abort.signal);
  const queued = find(/a+c/, [text], abort.signal);
  abort.abort(new Error('timed out'));
  await t.rejects(one, { message: 'timed out' });
  await t.rejects(queued, { message: 'timed out' });
  await t.rejects(find(/a/, ['a'], abort.signal), { message: 'timed out' });
  t.equal(await find(/b+/, [text], never), text, 'and the thread is not lost');
});
