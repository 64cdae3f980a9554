import t from 'tap';
import { defaultTimeouts } from '../../src/director/table.ts';
import { createChildEngine } from '../../src/engines/child-engine.ts';
import { until } from '../support/until.ts';

t.test('what a forwarder had counted that died stays in the totals', async (t) => {
  const told: string[] = [];
  const engine = createChildEngine({
    name: 'relay',
    module: new URL('forwarder-that-counts.ts', import.meta.url),
    events: { problem: (message) => told.push(message), info: (message) => told.push(message) },
    source: { services: () => [], timeouts: () => defaultTimeouts },
    refuses: () => undefined,
  });
  const total = async (): Promise<number> => (await engine.report()).totals.connections;
  await engine.start();
  t.same([await total(), await total()], [10, 20]);
  await until(() => told.length === 1);
  t.equal(await total(), 20, 'while there is none');
  await until(() => told.length === 2, 25);
  t.same(told, [
    'the relay forwarder died (exit code 0); starting it again, its open connections are lost',
    'the relay forwarder is back, with the whole table',
  ]);
  t.equal(await total(), 30, 'the next one counts on');
  engine.apply({ verb: 'zero', service: { kind: 'fwmark', mark: 7, family: 'inet' } });
  engine.apply({ verb: 'zero' });
  t.equal(await total(), 10, 'from nothing after all are zeroed');
  await engine.stop();
});
