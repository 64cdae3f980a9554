import t from 'tap';
import type { Claimant } from '../../../src/engines/packet/claims.ts';
import { Claiming } from '../../../src/engines/packet/claiming.ts';
import type { GuardChange } from '../../../src/platform/guard-state.ts';
import type { PacketFilterClient } from '../../../src/platform/packet-filter-client.ts';
import { masq, tcp80 } from '../../support/table.ts';

const web: Claimant = {
  id: tcp80,
  persistent: false,
  destinations: [{ id: { address: '10.2.0.11', port: 80 }, settings: masq }],
};
const marked: Claimant = {
  id: { kind: 'fwmark', mark: 7, family: 'inet' },
  persistent: false,
  destinations: [],
};

/** A host with one interface, whose packet filter can be made to fail. */
function lab() {
  const changes: GuardChange[] = [];
  const done: string[] = [];
  const problems: string[] = [];
  const state = { failing: false, filters: 0 };
  const claiming = new Claiming({
    interfaces: { guarded: () => [], setFilter: () => (state.filters += 1) },
    problem: (message) => problems.push(message),
  });
  const filter: PacketFilterClient = {
    means: 'nft',
    change: (change) => {
      changes.push(change);
    },
    apply: () => {
      done.push('applied');
      return Promise.resolve();
    },
    restore: () => Promise.resolve(false),
    remove: () => Promise.resolve(),
    removeSync: () => undefined,
    counters: () => Promise.reject(new Error('nobody asks')),
    poll: () => undefined,
    readPacketFilter: () => {
      if (state.failing) return Promise.reject(new Error('nft: no'));
      done.push('read');
      return Promise.resolve({ iptables: { 4: [], 6: [] }, nft: undefined, iptablesTables: new Set() });
    },
  };
  claiming.guardBy(filter);
  const table = (...claimants: readonly (readonly [string, Claimant | undefined])[]): void => {
    claiming.tableChanged({ takeChanged: () => claimants });
  };
  return { claiming, changes, done, problems, state, table };
}

t.test(
  'what an earlier run left stays in force until the table is known, however often the host changes',
  async (t) => {
    const { claiming, changes, done, table } = lab();
    claiming.hostChanged(['10.1.0.1']);
    await claiming.settled();
    t.same(changes, []);
    table();
    await claiming.settled();
    t.match(changes, [{ own: ['10.1.0.1'] }], 'then also an empty table is one');
    claiming.hostChanged(['10.1.0.1', '10.1.0.100']);
    table(['web', web]);
    await claiming.settled();
    t.match(changes.slice(1), [
      { own: ['10.1.0.1', '10.1.0.100'] },
      { added: { services: [{ address: '10.1.0.100' }] }, own: ['10.1.0.1'] },
    ]);
    t.ok(done.length >= 2);
  },
);

t.test('what does not change whose packets they are costs nothing', async (t) => {
  const { claiming, changes, state, table } = lab();
  table(['web', web]);
  await claiming.settled();
  const filters = state.filters;
  table([
    'web',
    { ...web, destinations: [{ id: { address: '10.2.0.11', port: 80 }, settings: { ...masq, weight: 0 } }] },
  ]);
  await claiming.settled();
  t.equal(changes.length, 1);
  t.equal(state.filters, filters);
});

t.test(
  'the rules that set marks are read before the kernel is kept off, and again when that failed',
  async (t) => {
    const { claiming, done, problems, state, table } = lab();
    state.failing = true;
    table(['marked', marked]);
    await claiming.settled();
    t.same([done, problems], [[], ['nft: no']]);
    state.failing = false;
    table(['web', web]);
    await claiming.settled();
    t.same(done, ['read', 'applied']);
    t.match(problems.at(-1), /fwm:7 gets no packets: no rule gives them the mark/);
  },
);
