/** What the monitor says and does about servers that fail for changing reasons, come back, and go again. */
import t from 'tap';
import { configuration, fallback, real, virtual } from '../support/configuration.ts';
import { stage } from './stage.ts';

const rs1 = '10.2.0.11';
const name = '10.2.0.11:80 (tcp:10.1.0.100:80)';

/** A stage with one server whose checks say what the test says: `undefined` is a success. */
function oneServer(changes: Parameters<typeof virtual>[1] = {}) {
  const says: { failure: string | undefined; immediate?: boolean } = { failure: undefined };
  const staged = stage(() => {
    const up = says.failure === undefined;
    const immediate = says.immediate === true ? { immediate: true } : {};
    return Promise.resolve({ up, detail: says.failure ?? 'ok', milliseconds: 7, ...immediate });
  });
  const settings = configuration([virtual([real(`${rs1}:80`)], { checkinterval: 10, ...changes })]);
  staged.monitor.start(settings);
  return {
    ...staged,
    settings,
    /** The answers of the next rounds, one each. */
    rounds: async (...failures: (string | undefined)[]): Promise<void> => {
      for (const failure of failures) {
        says.failure = failure;
        says.immediate = failure === 'Server in maintenance';
        await staged.clock.advance(10_000);
      }
    },
    said: () => staged.reasons.splice(0),
  };
}

void t.test('a reason is said when it changes, not at every check', async (t) => {
  const { rounds, said } = oneServer({ failurecount: 2 });
  await rounds(undefined, 'Connection refused', 'Connection refused', 'Connection refused');
  t.same(said(), [`Failed check of real server: ${name}: Connection refused`]);
  await rounds('timed out after 5 s', 'timed out after 5 s', '404 Not Found', '503 Service Unavailable');
  t.same(said(), [
    `Failed check of real server: ${name}: timed out after 5 s (until now: Connection refused)`,
    `Failed check of real server: ${name}: 404 Not Found (until now: timed out after 5 s)`,
    `Failed check of real server: ${name}: 503 Service Unavailable (until now: 404 Not Found)`,
  ]);
  await rounds(undefined, undefined);
  t.same(said(), [`Recovered real server: ${name}: was down for 1 min`]);
  await rounds('503 Service Unavailable', undefined);
  t.same(
    said(),
    [`Failed check of real server: ${name}: 503 Service Unavailable`],
    'the next outage is a new one, and one soft failure is no recovery',
  );
});

void t.test('what a server stamps its answers with is no other reason', async (t) => {
  const { rounds, said } = oneServer();
  await rounds(
    '500 at 10:11:12 (request 7f3a-99c1)',
    '500 at 10:12:22 (request 81bb-20e7)',
    '501 at 10:13:00',
  );
  t.equal(said().length, 2);
});

void t.test('what was said and for how long it is down outlives a reload', async (t) => {
  const { rounds, said, monitor, settings, clock } = oneServer();
  await rounds(undefined, 'Connection refused');
  said();
  monitor.reload(settings);
  await rounds('Connection refused');
  t.same(said(), []);
  t.match(monitor.states(), [{ reals: [{ state: 'down', stateFor: 10_000, nextCheck: 10_000 }] }]);
  await clock.advance(4000);
  t.match(monitor.states(), [
    { reals: [{ stateFor: 14_000, nextCheck: 6000, lastResult: { milliseconds: 7 } }] },
  ]);
  await rounds(undefined);
  t.same(said(), [`Recovered real server: ${name}: was down for 20 s`]);
});

void t.test('a server that flaps stays out until it has been well for as long', async (t) => {
  const { rounds, said, news, table, monitor } = oneServer({
    flapdamping: { changes: 4, seconds: 60 },
    fallback,
  });
  await rounds(undefined, 'refused', undefined, 'refused');
  t.notMatch(said().join('\n'), /Damping/, 'three changes');
  news();
  await rounds(undefined);
  t.same(said(), [
    `Damping real server: ${name}: 4 changes within 60 s: out until it has been well for 60 s`,
  ]);
  t.same(table(), ['127.0.0.1:80 gate 1'], 'the fourth would have been to come back');
  t.match(monitor.states(), [{ reals: [{ state: 'damped', dampedFor: 60_000, failures: 0 }] }]);
  await rounds(undefined, undefined, 'refused');
  t.match(monitor.states(), [{ reals: [{ state: 'damped', dampedFor: 60_000 }] }]);
  await rounds(...Array.from({ length: 6 }, () => undefined));
  t.match(monitor.states(), [{ reals: [{ state: 'damped', dampedFor: 10_000 }] }]);
  t.same(said(), [], 'the same failure again is no news');
  t.same(news().log, ['Resetting soft failure count: ' + name]);
  await rounds(undefined);
  t.same(said(), [
    `Damping ended of real server: ${name}: well for 60 s`,
    `Recovered real server: ${name}: was down for 1 min 50 s`,
  ]);
  t.same(table(), ['10.2.0.11:80 gate 1']);
  await rounds('refused', undefined);
  t.same(table(), ['10.2.0.11:80 gate 1'], 'and counting begins anew');
});

void t.test('changes that are far apart are no flapping, nor is maintenance', async (t) => {
  const { rounds, said, table } = oneServer({ flapdamping: { changes: 2, seconds: 30 } });
  const well = [undefined, undefined, undefined];
  const ill = ['refused', 'refused', 'refused'];
  await rounds(...well, ...ill, ...well, ...ill, ...well);
  await rounds('Server in maintenance', undefined, 'Server in maintenance', undefined);
  t.notMatch(said().join('\n'), /Damping/);
  t.same(table(), ['10.2.0.11:80 gate 1']);
  await rounds('refused', undefined);
  t.match(said().join('\n'), /Damping real server/);
  t.same(table(), []);
});

void t.test(
  'the last failure of flapping damps too; a reload keeps it, without the directive it ends',
  async (t) => {
    const { rounds, said, table, monitor } = oneServer({ flapdamping: { changes: 3, seconds: 60 } });
    await rounds(undefined, 'refused', undefined, 'refused');
    t.match(said().join('\n'), /Damping real server/);
    const damping = { checkinterval: 10, flapdamping: { changes: 3, seconds: 60 } };
    monitor.reload(configuration([virtual([real(`${rs1}:80`)], damping)]));
    await rounds(undefined);
    t.match(monitor.states(), [{ reals: [{ state: 'damped' }] }]);
    monitor.reload(configuration([virtual([real(`${rs1}:80`)], { checkinterval: 10 })]));
    await rounds(undefined);
    t.same(table(), ['10.2.0.11:80 gate 1']);
  },
);
