/**
 * The schedulers in BPF while others are at the same pool: other CPUs that pick, and TypeScript that changes the table.
 * Needs root and clang.
 */
import fc from 'fast-check';
import koffi from 'koffi';
import assert from 'node:assert/strict';
import t from 'tap';
import { testRunOptionsBytes } from '../../../src/platform/bpf/libbpf-functions.ts';
import { NONE } from '../../../src/scheduling/pool.ts';
import { flowFrom } from '../../scheduling/lab.ts';
import { BpfLab, D, longList, S, SchedulerBench } from './scheduler-bench.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'BPF programs are loaded by root');
  process.exit(0);
}

const bench = new SchedulerBench({ services: 4, destinations: 64 });
t.teardown(() => {
  bench.close();
});
const HIGHEST = 2 ** 31 - 1;
const schedulers = [
  ...['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq', 'fo', 'ovf', 'sh', 'dh', 'none', 'mh', 'lblc', 'lblcr', 'twos'],
];

t.test('rr and wrr give the exact order also to several CPUs', async (t) => {
  const libbpf = koffi.load('libbpf.so.1');
  const run = libbpf.func('int bpf_prog_test_run_opts(int, void *)');
  const picks = 300_000;
  for (const [scheduler, weights] of [
    ['rr', [1, 1, 1, 1, 1]],
    ['wrr', [1, 2, 3, 4, 5]],
  ] as const) {
    bench.reset();
    const lab = new BpfLab(bench, scheduler);
    weights.forEach((weight, at) => {
      lab.add(at + 1, { weight });
    });
    bench.answers();
    const question = Buffer.from(bench.question(lab.service, flowFrom(2), true));
    const together = Array.from({ length: 4 }, async () => {
      const options = Buffer.alloc(testRunOptionsBytes);
      options.writeBigUInt64LE(BigInt(options.length), 0);
      options.writeBigUInt64LE(koffi.address(question), 8);
      options.writeUInt32LE(question.length, 24);
      options.writeUInt32LE(picks, 60);
      return new Promise<number>((resolve, reject) => {
        run.async(bench.program.fd, options, (error: Error | null, result: number) => {
          if (error === null) resolve(result);
          else reject(error);
        });
      });
    });
    t.same(await Promise.all(together), [0, 0, 0, 0], 'four threads');
    const total = weights.reduce<number>((sum, weight) => sum + weight, 0);
    const answers = bench.answers();
    const found = weights.map((_, at) => answers[lab.slot(at + 1)]);
    t.same(
      found,
      weights.map((weight) => (picks * 4 * weight) / total),
      `${scheduler}: nobody twice, nobody left out`,
    );
  }
});

t.test(
  'a table that is changed under a pick is never followed round, nor to what is not the service’s',
  (t) => {
    const links = fc.array(fc.nat(40), { minLength: 24, maxLength: 24 });
    const flags = fc.array(fc.nat(15), { minLength: 24, maxLength: 24 });
    const states = fc.array(fc.oneof(fc.nat(40), fc.constant(-1), fc.nat(HIGHEST)), {
      minLength: 8,
      maxLength: 8,
    });
    const scheduler = fc.constantFrom(...schedulers);
    const safe = fc.property(
      links,
      flags,
      states,
      scheduler,
      fc.nat(3),
      (links, flags, states, scheduler, schedulerFlags) => {
        const { service, slots } = longList(bench, scheduler, 16, schedulerFlags);
        links.forEach((link, slot) => {
          const at = bench.destinationAt(slot);
          bench.words[at + D.next] = link === 40 ? HIGHEST : link;
          bench.words[at + D.flags] = flags[slot] ?? 0;
          bench.words[at + D.service] = slots.includes(slot) && slot % 3 > 0 ? service : slot % 2;
          bench.words[at + D.weight] = slot % 4;
        });
        const head = bench.serviceAt(service);
        bench.words[head + S.head] = links[0] ?? 0;
        bench.words[head + S.count] = links[1] ?? 0;
        states.forEach((state, word) => (bench.words[head + S.state + word] = state));
        for (let pick = 0; pick < 4; pick++) {
          const slot = bench.pick(service, flowFrom(pick));
          if (slot === NONE) continue;
          assert.ok(bench.pool.available(slot), `${scheduler} gave slot ${slot}, which is not in the table`);
          assert.equal(bench.pool.serviceOf(slot), service, `${scheduler} gave slot ${slot}`);
        }
      },
    );
    t.doesNotThrow(() => {
      fc.assert(safe, { numRuns: 600 });
    });
    t.end();
  },
);

t.test('a slot table that is older than the pool still finds a destination for everyone', (t) => {
  for (const scheduler of ['sh', 'dh', 'mh']) {
    const { service, slots } = longList(bench, scheduler, 4);
    const stay = slots.slice(2);
    bench.pool.unlink(slots[0] ?? 0);
    bench.pool.unlink(slots[1] ?? 0);
    const flows = Array.from({ length: 200 }, (_, host) => ({
      ...flowFrom(host),
      virtual: Int32Array.of(host, 0, 0, 0),
    }));
    const stale = flows.map((flow) => bench.run(bench.question(service, flow), 1).slot);
    t.ok(
      stale.every((slot) => stay.includes(slot)),
      scheduler,
    );
  }
  t.end();
});
