import t from 'tap';
import { createMatcher } from '../../src/platform/matcher.ts';

const forever = /^(a+)+$/;
const text = `${'a'.repeat(40)}b`;
/** What is written is what is meant. */
function findPattern() {
  const find = createMatcher();
  return (pattern: RegExp, texts: readonly string[], signal: AbortSignal) =>
    find({ text: pattern.source, pattern }, texts, signal);
}

const never = new AbortController().signal;

void t.test('the first text that matches', async (t) => {
  const find = findPattern();
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
  const find = findPattern();
  t.equal(await find(/we.l/, ['well'], never), 'well');
  const began = performance.now();
  const others = find(forever, [text], never).catch((error: unknown) => error);
  t.equal(await find(/we.l/, ['well'], never), 'well', 'they wait, and go on');
  t.match(await others, { message: `looking for "${forever.source}" took longer than 1 s` });
  t.ok(performance.now() - began < 3000);
  const again = [1, 2, 3].map(() => find(forever, [text], never).catch(() => 'ended'));
  const soon = performance.now();
  t.equal(await find(/we.l/, ['well'], never), 'well');
  t.ok(performance.now() - soon < 900, 'from then on they do not wait for it');
  t.same(await Promise.all(again), ['ended', 'ended', 'ended']);
});

void t.test('many that wait with the same pattern hold up the others only once too', async (t) => {
  const find = findPattern();
  const began = performance.now();
  const abort = new AbortController();
  const many = Array.from({ length: 50 }, () => find(forever, [text], abort.signal).catch(String));
  t.equal(await find(/we.l/, ['well'], never), 'well');
  t.ok(performance.now() - began < 1900, 'after one of them');
  abort.abort(new Error('timed out'));
  const ends = await Promise.all(many);
  t.match(ends[0], /took longer than 1 s/);
  t.same(new Set(ends.slice(1)), new Set(['Error: timed out']));
});

void t.test('nobody waits longer than the check has time', async (t) => {
  const find = findPattern();
  const abort = new AbortController();
  const one = find(forever, [text], abort.signal);
  const queued = find(/a+c/, [text], abort.signal);
  abort.abort(new Error('timed out'));
  await t.rejects(one, { message: 'timed out' });
  await t.rejects(queued, { message: 'timed out' });
  await t.rejects(find(/a/, ['a'], abort.signal), { message: 'timed out' });
  t.equal(await find(/b+/, [text], never), text, 'and the thread is not lost');
});
