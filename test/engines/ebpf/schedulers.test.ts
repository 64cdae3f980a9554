/**
 * The schedulers in BPF against those in TypeScript, pick by pick over the same pool, and against the kernel's recordings.
 * Needs root and clang.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { NONE } from '../../../src/scheduling/pool.ts';
import type { Flow } from '../../../src/scheduling/scheduler.ts';
import { replay } from '../../scheduling/golden.ts';
import type { NewLab } from '../../scheduling/lab.ts';
import { flowFrom } from '../../scheduling/lab.ts';
import type { Recording } from '../../scheduling/replay.ts';
import { Replay } from '../../scheduling/replay.ts';
import { BpfLab, D, generator, longList, SchedulerBench } from './scheduler-bench.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'BPF programs are loaded by root');
  process.exit(0);
}

const size = { services: 32, destinations: 5000 };
const bench = new SchedulerBench(size);
t.teardown(() => {
  bench.close();
});
const onBench: NewLab = (scheduler, flags, family) => new BpfLab(bench, scheduler, flags, family);

const deterministic = [
  ...['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq', 'fo', 'ovf', 'sh', 'dh', 'none', 'mh', 'lblc', 'lblcr'],
];
const HEAVIEST = 2 ** 31 - 1;
const FULLEST = 2 ** 31 - 1;
t.test('verification takes a small part of the million instructions that a program may cost', (t) => {
  const { verifiedInstructions } = bench.program.info;
  t.comment(`${verifiedInstructions} instructions`);
  t.ok(verifiedInstructions < 150_000, `${verifiedInstructions}`);
  t.end();
});

t.test('every pick of the kernel that was recorded', (t) => {
  const golden = (name: string) =>
    JSON.parse(readFileSync(new URL(`../../golden/${name}.json`, import.meta.url), 'utf8')) as unknown;
  for (const [name, kernel] of Object.entries(golden('sched') as Record<string, string[]>)) {
    bench.reset();
    t.same(replay(name, kernel, onBench), kernel, name);
  }
  for (const [name, recording] of Object.entries(golden('sched-more') as Record<string, Recording>)) {
    bench.reset();
    const replay = new Replay(recording, onBench);
    t.same(
      recording.steps.map((step) => replay.step(step)),
      recording.steps,
      name,
    );
  }
  t.end();
});

const weights = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 12 }) },
  { weight: 1, arbitrary: fc.integer({ min: HEAVIEST - 5, max: HEAVIEST }) },
);
const counts = fc.oneof(fc.nat(3), fc.nat(600), fc.integer({ min: FULLEST - 3, max: FULLEST }));
const server = fc.integer({ min: 1, max: 8 });
const word = fc.oneof(fc.nat(7), fc.integer({ min: -(2 ** 31), max: HEAVIEST }));
const steps = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant('set' as const),
        server,
        weight: weights,
        upper: fc.oneof(fc.constant(0), fc.nat(6)),
        lower: fc.nat(3),
        barred: fc.nat(9),
      }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('delete' as const), server }) },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant('counts' as const),
        server,
        active: counts,
        inactive: counts,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('wait' as const),
        seconds: fc.oneof(fc.nat(100_000), fc.constantFrom(86_400, 86_401)),
      }),
    },
    {
      weight: 12,
      arbitrary: fc.record({
        type: fc.constant('connect' as const),
        client: fc.tuple(word, word, word, word),
        virtual: word,
        port: fc.nat(65535),
      }),
    },
  ),
  { minLength: 20, maxLength: 150, size: 'max' },
);

for (const scheduler of deterministic) {
  t.test(`${scheduler}: random tables, counts and connections, picked as in TypeScript`, (t) => {
    let picks = 0;
    let refused = 0;
    const alike = fc.property(
      steps,
      fc.nat(3),
      fc.constantFrom(4 as const, 6 as const),
      (steps, flags, family) => {
        bench.reset();
        // others in the pool, so that services and slots are not 0
        new BpfLab(bench, 'wlc').add(1, { weight: 1 });
        const lab = new BpfLab(bench, scheduler, flags, family);
        let now = 1000;
        for (const step of steps) {
          const slot =
            step.type === 'wait' || step.type === 'connect' ? undefined : lab.servers.get(step.server);
          if (step.type === 'wait') now += step.seconds;
          else if (step.type === 'connect') {
            const [first, ...rest] = step.client;
            const flow: Flow = {
              family,
              client: family === 4 ? Int32Array.of(first, 0, 0, 0) : Int32Array.of(first, ...rest),
              virtual:
                family === 4 ? Int32Array.of(step.virtual, 0, 0, 0) : Int32Array.of(step.virtual, ...rest),
              clientPort: step.port,
              now,
            };
            const picked = lab.pick(flow);
            picks++;
            if (picked === undefined) refused++;
            else if (bench.pool.active(lab.slot(picked)) < FULLEST) bench.pool.addActive(lab.slot(picked), 1);
          } else if (step.type === 'set') {
            if (slot === undefined) lab.bringBack(step.server, step);
            else lab.edit(step.server, step);
            if (step.barred === 0) bar(lab, step.server, step);
          } else if (slot === undefined) continue;
          else if (step.type === 'delete') lab.delete(step.server);
          else {
            bench.words[bench.destinationAt(slot) + D.active] = step.active;
            bench.words[bench.destinationAt(slot) + D.inactive] = step.inactive;
          }
        }
      },
    );
    t.doesNotThrow(() => {
      fc.assert(alike, { numRuns: 60 });
    });
    t.ok(picks > 1000, `${picks} picks`);
    t.ok(scheduler === 'none' || refused < picks / 2, `${refused} refused`);
    t.end();
  });
}

function bar(lab: BpfLab, server: number, settings: { weight: number; upper: number; lower: number }): void {
  bench.pool.setDestination(lab.slot(server), { ...settings, barred: true });
}

for (const scheduler of deterministic) {
  t.test(`${scheduler}: 1,024 and 4,096 destinations`, (t) => {
    for (const count of [1024, 4096]) {
      const { service, slots } = longList(bench, scheduler, count);
      const random = generator(count);
      for (let pick = 0; pick < 40; pick++) {
        const flow = { ...flowFrom(random() % 1000, random() % 60000), now: 1000 + pick * 20_000 };
        const slot = bench.pickAlike(service, flow);
        if (slot !== NONE) bench.pool.addActive(slot, 1);
        const any = slots[random() % count] ?? 0;
        bench.words[bench.destinationAt(any) + D.active] = random() % 5;
      }
      // the last of the list is the only one that is left
      for (const slot of slots.slice(1)) bench.words[bench.destinationAt(slot) + D.weight] = 0;
      for (let pick = 0; pick < 3; pick++) bench.pickAlike(service, { ...flowFrom(pick), now: 1e6 });
    }
    t.end();
  });
}

t.test('twos draws in proportion to weights, and the less loaded of two wins', (t) => {
  const shares = (lab: BpfLab, count: number) => {
    bench.answers();
    const draws = 40_000;
    bench.pick(lab.service, flowFrom(2), { repeat: draws, counted: true });
    const answers = bench.answers();
    return Array.from({ length: count }, (_, at) => (answers[lab.slot(at + 1)] ?? 0) / draws);
  };
  const near = (found: readonly number[], expected: readonly number[]) => {
    found.forEach((share, at) => {
      t.ok(Math.abs(share - (expected[at] ?? 0)) < 0.02, `server ${at + 1}: ${share}`);
    });
  };
  bench.reset();
  const lab = new BpfLab(bench, 'twos');
  [1, 3, 0, 6].forEach((weight, at) => {
    lab.add(at + 1, { weight });
  });
  near(shares(lab, 4), [0.1, 0.3, 0, 0.6]);
  lab.edit(3, { weight: HEAVIEST });
  lab.edit(4, { weight: HEAVIEST });
  near(shares(lab, 4), [0, 0, 0.5, 0.5]);

  bench.reset();
  const two = new BpfLab(bench, 'twos');
  for (const server of [1, 2]) two.add(server, { weight: 1 });
  bench.pool.addActive(two.slot(1), 1);
  near(shares(two, 2), [1 / 4, 3 / 4]);
  two.edit(1, { weight: 3 });
  bench.pool.addActive(two.slot(2), 1);
  near(shares(two, 2), [15 / 16, 1 / 16]);
  two.edit(1, { weight: 3, upper: 1 });
  bench.pool.addInactive(two.slot(1), 1);
  near(shares(two, 2), [0, 1]);
  two.edit(2, { weight: 0 });
  t.equal(bench.pick(two.service, flowFrom(2)), NONE);
  two.delete(1);
  two.delete(2);
  t.equal(bench.pick(two.service, flowFrom(2)), NONE);

  const { service, slots } = longList(bench, 'twos', 4096);
  for (const slot of slots) bench.words[bench.destinationAt(slot) + D.weight] = slot === slots[0] ? 1 : 0;
  t.equal(bench.pick(service, flowFrom(2)), slots[0], 'the last of a long list');
  t.end();
});

t.test('what a pick costs', (t) => {
  const cost = (service: number) => {
    const question = bench.question(service, flowFrom(2));
    const floor = median(() => bench.run(withUnknownService(question), 50_000).nanoseconds);
    return median(() => bench.run(question, 5_000).nanoseconds) - floor;
  };
  for (const [scheduler, count] of [
    ['rr', 10],
    ['rr', 1000],
    ['wrr', 1000],
    ['lc', 10],
    ['lc', 1000],
    ['wlc', 10],
    ['wlc', 1000],
    ['twos', 1000],
    ['lblcr', 1000],
    ['sh', 1000],
    ['mh', 1000],
  ] as const) {
    const { service } = longList(bench, scheduler, count);
    const nanoseconds = cost(service);
    t.ok(nanoseconds < 20_000, `${scheduler}, ${count} destinations: ${nanoseconds} ns`);
  }
  t.end();
});

function withUnknownService(question: Buffer): Buffer {
  const unknown = Buffer.from(question);
  unknown.writeInt32LE(size.services + size.destinations, 16);
  return unknown;
}

function median(measure: () => number): number {
  return Array.from({ length: 5 }, measure).sort((a, b) => a - b)[2] ?? 0;
}
