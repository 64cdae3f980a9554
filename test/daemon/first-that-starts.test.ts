import t from 'tap';
import { chooseEngine, idleOptions } from '../../src/daemon/engine-choice.ts';
import { FirstThatStarts } from '../../src/daemon/first-that-starts.ts';
import type { Verb } from '../../src/director/verbs.ts';
import type { Engine, EngineName } from '../../src/engines/engine.ts';
import { zeroCounters } from '../../src/engines/engine.ts';
import { defaultTimeouts } from '../../src/director/table.ts';

function broken(message: string): never {
  throw new Error(message);
}

const flush: Verb = { verb: 'flush' };

/** Notes what it is asked. @param obstacle why it cannot start */
function fake(name: EngineName, calls: string[], obstacle?: string): Engine {
  const note = (what: string): void => void calls.push(`${name} ${what}`);
  return {
    name,
    start: () => {
      note('start');
      return obstacle === undefined ? Promise.resolve(undefined) : Promise.reject(new Error(obstacle));
    },
    apply: ({ verb }) => {
      note(verb);
    },
    refuses: () => `not by ${name}`,
    settled: () => Promise.resolve(),
    report: () => Promise.resolve({ services: [], totals: zeroCounters }),
    connections: () => Promise.resolve(),
    stop: () => {
      note('stop');
      return Promise.resolve(7);
    },
  };
}

const service = { kind: 'fwmark', mark: 7, family: 'inet' } as const;
const settings = {
  scheduler: 'rr',
  schedulerFlags: 0,
  persistence: 0,
  netmask: 0xffffffff,
  persistenceEngine: '',
  onePacket: false,
  proxyProtocol: 'none',
} as const;

t.test('the best engine runs when it can start', async (t) => {
  const [calls, told]: [string[], string[]] = [[], []];
  const events = { info: (message: string) => told.push(message), problem: broken };
  const engine = new FirstThatStarts(fake('packet', calls), fake('relay', calls), events);
  await engine.start();
  engine.apply(flush);
  t.equal(engine.refuses(service, settings), 'not by packet');
  t.equal(await engine.stop(), 7);
  t.same(calls, ['packet start', 'packet flush', 'packet stop']);
  t.same(told, []);
});

t.test('another runs in its place when it cannot, and the log says why', async (t) => {
  const [calls, told]: [string[], string[]] = [[], []];
  const events = { info: (message: string) => told.push(message), problem: broken };
  const engine = new FirstThatStarts(fake('packet', calls, 'no nft here'), fake('relay', calls), events);
  t.equal(engine.name, 'packet');
  await engine.start();
  engine.apply(flush);
  t.equal(engine.name, 'relay');
  t.equal(engine.refuses(service, settings), 'not by relay');
  t.same(calls, ['packet start', 'packet stop', 'relay start', 'relay flush']);
  t.same(told, ['engine relay instead of packet: no nft here']);
});

t.test('and when none can, that one says why', async (t) => {
  const calls: string[] = [];
  const events = { info: () => undefined, problem: broken };
  const engine = new FirstThatStarts(
    fake('packet', calls, 'no nft'),
    fake('relay', calls, 'no files'),
    events,
  );
  await t.rejects(engine.start(), { message: 'no files' });
});

t.test('who gets which engine', async (t) => {
  const events = { info: () => undefined, problem: () => undefined };
  const table = { services: () => [], timeouts: () => defaultTimeouts };
  const options = { ...idleOptions, guard: 'directord-test' };
  const choice = async (wish: 'auto' | 'relay' | 'packet' | 'ebpf', isRoot: boolean): Promise<string> => {
    const { engine, reason } = await chooseEngine(wish, events, table, options, isRoot);
    t.ok(reason.startsWith(engine.name), reason);
    return engine.name;
  };
  t.equal(await choice('auto', false), 'relay');
  t.equal(await choice('auto', true), 'ebpf');
  t.equal(await choice('relay', true), 'relay');
  t.equal(await choice('packet', false), 'packet', 'its start then says what is missing');
  t.equal(await choice('ebpf', true), 'ebpf');
});
