import t from 'tap';
import { Guarding } from '../../../src/engines/packet/guarding.ts';
import type { GuardState, KernelGuard } from '../../../src/platform/kernel-guard.ts';

const stateWith = (own: string): GuardState => ({
  services: [],
  replies: [],
  marks: [],
  interfaces: [],
  own: [own],
});

/** A guard that remembers what it was told and fails on demand. */
function fake() {
  const done: string[] = [];
  const problems: string[] = [];
  const trouble = { replace: '', gone: false };
  const guard: KernelGuard = {
    means: 'nft',
    replace: ({ own }) => {
      done.push(...own);
      return trouble.replace === '' ? Promise.resolve() : Promise.reject(new Error(trouble.replace));
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
    before: ({ own }) => {
      done.push(`before ${own.join()}`);
      return Promise.resolve();
    },
    problem: (message) => problems.push(message),
  });
  return { guarding, done, problems, trouble };
}

t.test('only the last of several wishes is carried out, and settled waits for it', async (t) => {
  const { guarding, done, problems } = fake();
  for (const own of ['a', 'b', 'c']) guarding.want(stateWith(own));
  await guarding.settled();
  t.same(done, ['before c', 'c']);
  guarding.want(stateWith('d'));
  await guarding.remove();
  t.same(done.slice(2), ['before d', 'd', 'removed']);
  t.same(problems, []);
});

t.test('a wish that failed is tried again, and told once', async (t) => {
  const { guarding, done, problems, trouble } = fake();
  trouble.replace = 'no such table';
  guarding.want(stateWith('a'));
  await guarding.settled();
  guarding.check();
  await guarding.settled();
  t.same(done, ['before a', 'a', 'before a', 'a']);
  t.same(problems, ['no such table']);
  trouble.replace = '';
  guarding.check();
  await guarding.settled();
  guarding.check();
  await guarding.settled();
  t.equal(done.length, 6, 'not after it succeeded');
  trouble.replace = 'no such table';
  guarding.want(stateWith('b'));
  await guarding.settled();
  t.equal(problems.length, 2, 'a new failure is told again');
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
