/** Firewall marks in BPF against the evaluation of the same rules in TypeScript, packet by packet. Needs root and clang. */
import fc from 'fast-check';
import t from 'tap';
import { MarkKeeper } from '../../../src/engines/ebpf/mark-keeper.ts';
import type { MarkAction, MarkChain, MarkRule } from '../../../src/engines/marks/mark-chain.ts';
import { parseMarkRules } from '../../../src/engines/marks/iptables-marks.ts';
import type { MarkMatch } from '../../../src/engines/marks/mark-matches.ts';
import {
  matchAddresses,
  matchFamily,
  matchInterfaces,
  matchMark,
  matchPorts,
  matchProtocols,
  prefixMask,
} from '../../../src/engines/marks/mark-matches.ts';
import { MarkRules } from '../../../src/engines/marks/mark-rules.ts';
import type { MarkService } from '../../../src/engines/marks/marks.ts';
import type { MarkedPacket } from '../../../src/engines/marks/packet-matches.ts';
import { wordsAddress } from '../../../src/engines/address-words.ts';
import type { PacketFilterText } from '../../../src/platform/packet-filter-text.ts';
import type { ProbedPacket } from './mark-bench.ts';
import { MarkBench } from './mark-bench.ts';

if (process.getuid?.() !== 0) {
  t.plan(0, 'BPF programs are loaded by root');
  process.exit(0);
}

const bench = new MarkBench();
t.teardown(() => {
  bench.close();
});

const interfaces = [
  'lo',
  'eth0',
  'eth1',
  'eth10',
  'vlan7',
  ...Array.from({ length: 12 }, (_, i) => `ppp${i}`),
].map((name, i) => ({ name, index: i + 1 }));

// Few values, so that rules and packets meet.
const word = fc.constantFrom(0, 1, 2, 0x0a010064, 0x0a010065, 0x7fffffff, -0x80000000, -1);
const port = fc.constantFrom(0, 53, 80, 81, 443, 1000, 2000, 65535);
const mark = fc.constantFrom(0, 1, 2, 7, 8, 0x10, 0x80000001, 0xffffffff);
const family = fc.constantFrom(4 as const, 6 as const);
const protocol = fc.constantFrom(6, 17);
const negated = fc.boolean();

const addresses = (family: 4 | 6): fc.Arbitrary<MarkMatch> => {
  const words = fc
    .array(word, { minLength: 4, maxLength: 4 })
    .map((words) => Int32Array.from(words, (word, i) => (family === 4 && i > 0 ? 0 : word)));
  const address = words.map((words) => wordsAddress(words, family));
  const mask = fc.oneof(
    fc.integer({ min: 0, max: family === 4 ? 32 : 128 }).map(prefixMask),
    fc.constant(Int32Array.of(0xff00ff, family === 4 ? 0 : -1, 0, family === 4 ? 0 : -0x10000)),
  );
  const spans = fc.oneof(fc.record({ address, mask }), fc.record({ from: address, to: address }));
  return fc
    .tuple(
      fc.constantFrom('source' as const, 'destination' as const),
      fc.array(spans, { minLength: 1, maxLength: 6 }),
      negated,
    )
    .map((parts) => matchAddresses(...parts));
};

const names = ['lo', 'eth0', 'eth1+', 'eth+', 'ppp+', '+', 'ppp3', 'nowhere', 'nowhere+'];
const condition = (family: 4 | 6): fc.Arbitrary<MarkMatch> =>
  fc.oneof(
    fc.constantFrom(4 as const, 6 as const).map(matchFamily),
    fc
      .tuple(fc.subarray([1, 6, 17, 58, 132], { minLength: 1 }), negated)
      .map((parts) => matchProtocols(...parts)),
    { arbitrary: addresses(family), weight: 3 },
    fc
      .tuple(
        fc.constantFrom('source' as const, 'destination' as const, 'either' as const),
        fc.array(fc.tuple(port, port), { minLength: 1, maxLength: 10 }),
        negated,
      )
      .map((parts) => matchPorts(...parts)),
    fc
      .tuple(fc.subarray(names, { minLength: 1, maxLength: 3 }), fc.constant('+' as const), negated)
      .map((parts) => matchInterfaces(...parts)),
    fc
      .tuple(
        fc.array(mark, { minLength: 1, maxLength: 9 }),
        fc.constantFrom(0xffffffff, 0x11, 0x80000000, 0),
        negated,
      )
      .map((parts) => matchMark(...parts)),
  );

const change = fc.record({
  kind: fc.constant('mark' as const),
  keep: fc.constantFrom(0, -1, 0xf, ~0x10),
  flip: mark.map((mark) => mark | 0),
});
const verdict = fc.constantFrom<MarkAction>({ kind: 'accept' }, { kind: 'drop' }, { kind: 'return' });
const chain = (
  family: 4 | 6,
  targets: readonly (readonly MarkRule[])[],
): fc.Arbitrary<readonly MarkRule[]> => {
  const leap: fc.Arbitrary<MarkAction> =
    targets.length === 0
      ? change
      : fc.record({
          kind: fc.constantFrom('jump' as const, 'goto' as const),
          rules: fc.constantFrom(...targets),
        });
  return fc.array(
    fc.record({
      matches: fc.array(condition(family), { maxLength: 3 }),
      action: fc.oneof({ arbitrary: change, weight: 4 }, verdict, { arbitrary: leap, weight: 2 }),
    }),
    { maxLength: 6 },
  );
};
/** Two hooks of one family, which lead to three chains; each of these only to those before it. */
const hooks = (family: 4 | 6): fc.Arbitrary<readonly MarkChain[]> =>
  chain(family, []).chain((first) =>
    chain(family, [first]).chain((second) =>
      chain(family, [first, second]).chain((third) =>
        fc
          .array(chain(family, [first, second, third]), { minLength: 1, maxLength: 2 })
          .map((all) =>
            all.map((rules, priority) => ({ name: `${priority}`, families: [family], priority, rules })),
          ),
      ),
    ),
  );
const packet = (family: 4 | 6): fc.Arbitrary<ProbedPacket> => {
  const words = fc
    .array(word, { minLength: 4, maxLength: 4 })
    .map((words) => words.map((word, i) => (family === 4 && i > 0 ? 0 : word)));
  return fc.record({
    family: fc.constant(family),
    protocol,
    source: words,
    target: words,
    sourcePort: port,
    destinationPort: port,
  });
};

function asMarked({ source, target, ...packet }: ProbedPacket): MarkedPacket {
  return {
    ...packet,
    hasPorts: true,
    sourceWord: (i) => source[i] ?? 0,
    destinationWord: (i) => target[i] ?? 0,
  };
}

t.test('random rules give random packets the marks that they give them in TypeScript', (t) => {
  const seen = new Map<number, number>();
  let tooLong = 0;
  fc.assert(
    fc.property(
      family.chain((family) =>
        fc.tuple(
          hooks(family),
          fc.array(fc.tuple(packet(family), fc.constantFrom(...interfaces)), {
            minLength: 25,
            maxLength: 25,
          }),
        ),
      ),
      ([chains, packets]) => {
        const rules = new MarkRules(chains);
        const unable = bench.programs.enforce(rules, interfaces);
        if (unable[4] !== undefined || unable[6] !== undefined) {
          tooLong += 1;
          return;
        }
        for (const [packet, { name, index }] of packets) {
          const expected = rules.markOf(asMarked(packet), name);
          const found = bench.markOf(packet, index);
          seen.set(found, (seen.get(found) ?? 0) + 1);
          if (found !== expected) throw new Error(`${found}, not ${expected}`);
        }
      },
    ),
    { numRuns: 1000 },
  );
  t.comment(`${[...seen.values()].join(' ')}; too long: ${tooLong}`);
  t.ok(seen.size > 10, `${seen.size} marks`);
  t.ok((seen.get(0) ?? 0) < 20_000, 'most rules do something');
  t.ok(tooLong < 100, `${tooLong} too long`);
  t.end();
});

const web: ProbedPacket = {
  family: 4,
  protocol: 6,
  source: [0x0a000001, 0, 0, 0],
  target: [0x0a010064, 0, 0, 0],
  sourcePort: 5000,
  destinationPort: 80,
};

function save(...rules: readonly string[]): string {
  return [
    '*mangle',
    ':PREROUTING - [0:0]',
    ...rules.map((rule) => `-A PREROUTING ${rule}`),
    'COMMIT',
    '',
  ].join('\n');
}

t.test('what a rule asks of the mark is asked anew after a rule that sets it', (t) => {
  const rules = ['-m mark --mark 0 -j MARK --set-mark 7', '-m mark --mark 0 -j MARK --set-mark 9'];
  bench.programs.enforce(new MarkRules(parseMarkRules(save(...rules)).rules), []);
  t.equal(bench.markOf(web, 1), 7);
  t.end();
});

t.test('one rule for each of many ports, up to what there is room for', (t) => {
  const rules = (count: number) =>
    new MarkRules(
      parseMarkRules(
        save(
          ...Array.from(
            { length: count },
            (_, i) => `-d 10.1.0.100 -p tcp --dport ${i + 1} -j MARK --set-mark ${i + 1}`,
          ),
        ),
      ).rules,
    );
  t.same(bench.programs.enforce(rules(255), []), { 4: undefined, 6: undefined });
  t.equal(bench.markOf({ ...web, destinationPort: 255 }, 1), 255);
  t.equal(bench.markOf({ ...web, destinationPort: 1 }, 1), 1);
  t.equal(bench.markOf({ ...web, destinationPort: 256 }, 1), 0);
  bench.markOf({ ...web, destinationPort: 256 }, 1);
  t.comment(`${bench.nanoseconds(1000)} ns for a packet that passes all of them`);
  t.match(bench.programs.enforce(rules(256), []), { 4: /more than the 512 steps/, 6: undefined });
  t.equal(bench.markOf(web, 1), 0, 'half of the rules are no rules');
  bench.programs.enforce(rules(80), []);
  t.equal(bench.markOf(web, 1), 80);
  t.end();
});

t.test('verification takes a small part of the million instructions that a program may cost', (t) => {
  const { verifiedInstructions } = bench.program.info;
  t.comment(`${verifiedInstructions} instructions`);
  t.ok(verifiedInstructions < 60_000, `${verifiedInstructions}`);
  t.end();
});

/** A host whose packet filter is text. */
function host(services: readonly MarkService[]) {
  const problems: string[] = [];
  const state: { rules: string; failing: boolean; services: readonly MarkService[] } = {
    rules: save('-i eth+ -d 10.1.0.100 -p tcp --dport 80 -j MARK --set-mark 7'),
    failing: false,
    services,
  };
  let last = '';
  const read = (known: boolean): Promise<PacketFilterText | undefined> => {
    if (state.failing) return Promise.reject(new Error('nft: no'));
    if (known && last === state.rules) return Promise.resolve(undefined);
    last = state.rules;
    return Promise.resolve({ iptables: { 4: [last], 6: [] }, nft: undefined, iptablesTables: new Set() });
  };
  const keeper = new MarkKeeper({
    director: bench,
    services: () => state.services,
    problem: (message) => problems.push(message),
    read,
  });
  return { keeper, state, problems };
}

const seven: MarkService = { family: 4, mark: 7 };

t.test('marks follow services, rules and interfaces', async (t) => {
  bench.programs.enforce(new MarkRules([]), []);
  const { keeper, state, problems } = host([seven]);
  keeper.setInterfaces([{ name: 'eth0', index: 2 }]);
  keeper.servicesChanged();
  await keeper.settled();
  t.equal(bench.markOf(web, 2), 7);
  t.equal(bench.markOf(web, 3), 0);
  keeper.setInterfaces([
    { name: 'eth0', index: 2 },
    { name: 'eth1', index: 3 },
  ]);
  t.equal(bench.markOf(web, 3), 7, 'an interface that came');

  state.rules = save('-d 10.1.0.100 -m conntrack --ctstate NEW -j MARK --set-mark 7');
  keeper.check();
  await new Promise(setImmediate);
  t.equal(bench.markOf(web, 2), 0);
  t.same(problems, [
    `fwm:7 may miss packets: the ebpf engine cannot follow the rule '-A PREROUTING -d 10.1.0.100 -m conntrack --ctstate NEW -j MARK --set-mark 7': -m conntrack is not understood`,
  ]);

  state.failing = true;
  keeper.servicesChanged();
  await keeper.settled();
  await keeper.settled();
  t.same(problems.slice(1), ['nft: no'], 'said once');
  state.failing = false;
  state.rules = save(
    ...Array.from({ length: 600 }, (_, i) => `-d 10.1.0.100 -p tcp --dport ${i} -j MARK --set-mark ${i}`),
  );
  await keeper.settled();
  t.match(problems.slice(2), [
    /^fwm:7 gets no packets: the ebpf engine cannot follow the rules .* 512 steps/,
  ]);
});

t.test('what an earlier daemon left stays in force until the rules are known', async (t) => {
  const first = host([seven]);
  first.keeper.setInterfaces(interfaces);
  first.keeper.servicesChanged();
  await first.keeper.settled();
  first.keeper.close();
  const second = host([seven]);
  second.keeper.setInterfaces(interfaces);
  t.equal(bench.markOf(web, 2), 7);
  second.state.rules = save('-d 10.1.0.100 -j MARK --set-mark 9');
  second.keeper.servicesChanged();
  await second.keeper.settled();
  t.equal(bench.markOf(web, 2), 9);
  t.match(second.problems, [/fwm:7 gets no packets: no rule gives them the mark/]);
});
