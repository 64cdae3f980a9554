import t from 'tap';
import fc from 'fast-check';
import { GuardSets } from '../../src/platform/guard-sets.ts';
import type { GuardChange, GuardClaims, GuardedEndpoint } from '../../src/platform/kernel-guard.ts';

const none: GuardClaims = { services: [], replies: [], marks: [] };
const endpoint = (address: string, port: number, protocol: 'tcp' | 'udp' = 'tcp'): GuardedEndpoint => ({
  family: address.includes(':') ? 6 : 4,
  protocol,
  address,
  port,
});
const added = (claims: Partial<GuardClaims>): GuardChange => ({
  added: { ...none, ...claims },
  removed: none,
});
const removed = (claims: Partial<GuardClaims>): GuardChange => ({
  added: none,
  removed: { ...none, ...claims },
});

/** What is to be told, without the sets that stay as they are: `+set element` and `-set element`. */
function told(sets: GuardSets): readonly string[] {
  return [...sets.takeChanges()].flatMap(([set, { added, removed }]) => [
    ...added.map((element) => `+${set} ${element}`),
    ...removed.map((element) => `-${set} ${element}`),
  ]);
}

t.test('an element stays while an endpoint needs it', (t) => {
  const sets = new GuardSets();
  const [http, https, other] = [
    endpoint('10.0.0.1', 80),
    endpoint('10.0.0.1', 443),
    endpoint('10.0.0.1', 53, 'udp'),
  ];
  sets.change(added({ replies: [http, https] }));
  t.same(told(sets), [
    '+replies4 10.0.0.1 . 6 . 80',
    '+replies4 10.0.0.1 . 6 . 443',
    '+reply-protocols4 10.0.0.1 . 6',
    '+servers4 10.0.0.1',
  ]);
  sets.change(added({ replies: [other] }));
  t.same(
    told(sets),
    ['+replies4 10.0.0.1 . 17 . 53', '+reply-protocols4 10.0.0.1 . 17'],
    'the address is known',
  );
  sets.change(removed({ replies: [http] }));
  t.same(told(sets), ['-replies4 10.0.0.1 . 6 . 80'], 'another port of it stays');
  sets.change(removed({ replies: [https] }));
  t.same(told(sets), ['-replies4 10.0.0.1 . 6 . 443', '-reply-protocols4 10.0.0.1 . 6']);
  sets.change(removed({ replies: [other] }));
  t.ok(told(sets).includes('-servers4 10.0.0.1'), 'with the last one the address goes');
  t.end();
});

t.test('every port, marks and own addresses', (t) => {
  const sets = new GuardSets();
  sets.change({
    ...added({ services: [endpoint('2001:db8::1', 0, 'udp')], marks: [{ family: 6, mark: 7 }] }),
    own: ['10.0.0.9', '2001:db8::9'],
  });
  t.same(
    new Set(told(sets)),
    new Set([
      '+whole-services6 2001:db8::1 . 17',
      '+service-protocols6 2001:db8::1 . 17',
      '+own4 10.0.0.9',
      '+own6 2001:db8::9',
      '+marks6 7',
    ]),
  );
  sets.change({ added: none, removed: none });
  t.same(told(sets), [], 'own addresses that are not named stay');
  sets.change({ added: none, removed: none, own: ['10.0.0.8', '10.0.0.9'] });
  t.same(told(sets), ['+own4 10.0.0.8', '-own6 2001:db8::9']);
  t.end();
});

t.test('what comes and goes before anybody looks makes no command', (t) => {
  const sets = new GuardSets();
  const one = endpoint('10.0.0.1', 80);
  sets.change(added({ services: [one] }));
  sets.change(removed({ services: [one] }));
  t.same(told(sets), []);
  sets.change(added({ services: [one] }));
  sets.takeAll();
  t.same(told(sets), [], 'everything was taken');
  sets.change(removed({ services: [one] }));
  sets.change(added({ services: [one] }));
  t.same(told(sets), []);
  sets.change(removed({ services: [endpoint('10.9.9.9', 80)] }));
  t.same(told(sets), [], 'nor does the end of what never was');
  t.equal(sets.sizes().get('services4'), 1);
  t.end();
});

t.test('however endpoints come and go, the commands lead to what is wanted', (t) => {
  const endpoints = [1, 2].flatMap((host) =>
    [0, 80, 443].flatMap((port) =>
      (['tcp', 'udp'] as const).map((protocol) => endpoint(`10.0.0.${host}`, port, protocol)),
    ),
  );
  const step = fc.record({
    at: fc.nat(endpoints.length - 1),
    kind: fc.constantFrom('services' as const, 'replies' as const),
    look: fc.constantFrom('no', 'changes', 'all'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const sets = new GuardSets();
      const wanted = { services: new Set<GuardedEndpoint>(), replies: new Set<GuardedEndpoint>() };
      const kernel = new Map<string, Set<string>>();
      const look = (all: boolean): void => {
        for (const [set, { added, removed }] of all ? sets.takeAll() : sets.takeChanges()) {
          const elements = all ? new Set<string>() : (kernel.get(set) ?? new Set());
          // nft refuses the end of an element that is not there
          for (const element of removed) if (!elements.delete(element)) throw new Error(`-${set} ${element}`);
          for (const element of added) elements.add(element);
          kernel.set(set, elements);
          if (sets.sizes().get(set) !== elements.size) throw new Error(`size of ${set}`);
        }
      };
      for (const { at, kind, look: how } of steps) {
        const one = endpoints[at] as GuardedEndpoint;
        const isIn = wanted[kind].delete(one);
        if (!isIn) wanted[kind].add(one);
        sets.change((isIn ? removed : added)({ [kind]: [one] }));
        if (how !== 'no') look(how === 'all');
      }
      look(false);
      const fresh = new GuardSets();
      fresh.change(added({ services: [...wanted.services], replies: [...wanted.replies] }));
      const sorted = (elements: Iterable<string>): string => [...elements].sort().join();
      for (const [set, { added: elements }] of fresh.takeAll())
        if (sorted(kernel.get(set) ?? []) !== sorted(elements)) throw new Error(`elements of ${set}`);
    }),
  );
  t.end();
});
