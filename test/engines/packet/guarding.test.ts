import t from 'tap';
import { Guarding } from '../../../src/engines/packet/guarding.ts';
import type { GuardChange, KernelGuard } from '../../../src/platform/kernel-guard.ts';

const none = { services: [], replies: [], marks: [] };
const changeTo = (own: string): GuardChange => ({ added: none, removed: none, own: [own] });

/** A guard that remembers what it was told and fails on demand. */
function fake() {
  const done: string[] = [];
  const problems: string[] = [];
  const trouble = { before: '', apply: '', gone: false };
  const during = { before: (): void => undefined, apply: (): void => undefined };
  const result = (message: string): Promise<void> =>
    message === '' ? Promise.resolve() : Promise.reject(new Error(message));
  const guard: KernelGuard = {
    means: 'nft',
    change: ({ own = [] }) => {
      done.push(...own);
    },
    apply: () => {
      done.push('apply');
      during.apply();
      return result(trouble.apply);
    },
    restore: () => Promise.resolve(trouble.gone),
    remove: () => {
      done.push('removed');
      return Promise.resolve();
    },
    removeSync: () => undefined,
    counters: () => Promise.reject(new Error('nobody asks')),
  };
  const guarding = new Guarding({
    guard,
    before: () => {
      done.push('before');
      during.before();
      return result(trouble.before);
    },
    problem: (message) => problems.push(message),
  });
  return { guarding, done, problems, trouble, during };
}

t.test('several wishes are carried out together, and settled waits for them', async (t) => {
  const { guarding, done, problems } = fake();
  for (const own of ['a', 'b', 'c']) guarding.want(changeTo(own));
  await guarding.settled();
  t.same(done, ['before', 'a', 'b', 'c', 'apply']);
  guarding.want(changeTo('d'));
  await guarding.remove();
  t.same(done.slice(5), ['before', 'd', 'apply', 'removed']);
  t.same(problems, []);
});

t.test('what comes while others are carried out follows them in one go', async (t) => {
  const { guarding, done, during } = fake();
  during.before = () => {
    during.before = () => undefined;
    guarding.want(changeTo('b'));
  };
  during.apply = () => {
    during.apply = () => undefined;
    guarding.want(changeTo('c'));
  };
  guarding.want(changeTo('a'));
  await guarding.settled();
  await guarding.settled();
  t.same(done, ['before', 'a', 'apply', 'before', 'b', 'c', 'apply'], 'each after a preparation of its own');
});

t.test('a wish that failed is tried again, and told once', async (t) => {
  const { guarding, done, problems, trouble } = fake();
  trouble.apply = 'no such table';
  guarding.want(changeTo('a'));
  await guarding.settled();
  guarding.check();
  await guarding.settled();
  t.same(done, ['before', 'a', 'apply', 'before', 'apply'], 'the guard has heard of it already');
  t.same(problems, ['no such table']);
  trouble.apply = '';
  guarding.check();
  await guarding.settled();
  guarding.check();
  await guarding.settled();
  t.equal(done.length, 7, 'not after it succeeded');
  trouble.apply = 'no such table';
  guarding.want(changeTo('b'));
  await guarding.settled();
  t.equal(problems.length, 2, 'a new failure is told again');
});

t.test('without the preparation the kernel keeps what is wanted', async (t) => {
  const { guarding, done, problems, trouble } = fake();
  trouble.before = 'no such rules';
  guarding.want(changeTo('a'));
  guarding.want(changeTo('b'));
  await guarding.settled();
  t.same(done, ['before']);
  t.same(problems, ['no such rules']);
  trouble.before = '';
  guarding.want(changeTo('c'));
  await guarding.settled();
  t.same(done.slice(1), ['before', 'a', 'b', 'c', 'apply'], 'until a later one succeeds');
});

t.test('rules that somebody removed are told of when they are back', async (t) => {
  const { guarding, problems, trouble } = fake();
  guarding.check();
  await guarding.settled();
  t.same(problems, []);
  trouble.gone = true;
  guarding.check();
  guarding.check();
  await guarding.settled();
  t.same(problems, [
    'somebody removed the rules that keep the kernel off the virtual services; they are back',
  ]);
});
