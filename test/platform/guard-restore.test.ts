import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import type { KernelGuard } from '../../src/platform/kernel-guard.ts';
import { openKernelGuard } from '../../src/platform/kernel-guard.ts';
import { NfTables } from '../../src/platform/nf-tables.ts';
import { until } from '../support/until.ts';
import { nobodys, replace, run, stateFor } from './guard-network.ts';
import { enterOwnNetwork, skip } from './own-network.ts';

if (skip === false) enterOwnNetwork();

const endpoint = (host: number, port = 80) => ({
  family: 4 as const,
  protocol: 'tcp' as const,
  address: `10.0.0.${host}`,
  port,
});
const services = [1, 2, 3].map((host) => endpoint(host));
const state = (hosts: readonly number[] = [1, 2, 3]) =>
  stateFor({ ...nobodys, services: hosts.map((host) => endpoint(host)), marks: [{ family: 4, mark: 7 }] }, [
    'lo',
  ]);
const nft = (command: string): string => run('nft', command);
const listed = (): string => run('nft', '-n', '-s', 'list', 'ruleset');
const opened = async (): Promise<KernelGuard> => {
  const guard = await openKernelGuard({ name: 'directord', means: 'nft' });
  await replace(guard, state());
  return guard;
};

t.test('whatever somebody does to our tables is undone, once', { skip }, async (t) => {
  const guard = await opened();
  const whole = listed();
  const loopback = /chain (interface\d+)/.exec(whole)?.[1] ?? '';
  for (const foreign of [
    'flush ruleset',
    'delete table inet directord',
    'delete element netdev directord services4 { 10.0.0.2 . 6 . 80 }',
    'add element netdev directord own4 { 192.0.2.1 }',
    'flush set inet directord marks4',
    'flush chain netdev directord arriving4',
    'insert rule netdev directord arriving4 accept',
    'add rule inet directord input accept comment "mine"',
    `flush chain netdev directord ${loopback}; delete chain netdev directord ${loopback}`,
    `chain netdev directord ${loopback} { policy drop; }`,
  ]) {
    nft(foreign);
    t.not(listed(), whole);
    t.equal(await guard.restore(), true, foreign);
    t.equal(listed(), whole);
    t.equal(await guard.restore(), false);
  }
  await guard.remove();
});

t.test('what somebody does to tables of his own does not matter', { skip }, async (t) => {
  const guard = await opened();
  nft('table netdev directord-2 { set services4 { type ipv4_addr; }; chain arriving4 { accept; }; }');
  t.equal(await guard.restore(), false);
  nft('add rule netdev directord-2 arriving4 drop');
  await replace(guard, state([1, 2]));
  t.equal(await guard.restore(), false, 'nor before a change of ours');
  t.notMatch(listed(), '10.0.0.3');
  nft('delete table netdev directord-2');
  await guard.remove();
});

t.test('a change of ours hides nobody’s', { skip }, async (t) => {
  const guard = await opened();
  nft('delete element netdev directord services4 { 10.0.0.1 . 6 . 80 }');
  await replace(guard, state([1, 2]));
  t.equal(await guard.restore(), true, 'one before it');
  t.match(listed(), '10.0.0.1 . 6 . 80');

  for (const hosts of [[1], [1, 2], [1], [1, 2]]) {
    const other = spawn('nft', ['delete element netdev directord services4 { 10.0.0.1 . 6 . 80 }']);
    await Promise.all([once(other, 'exit'), replace(guard, state(hosts))]);
    await guard.restore();
    t.match(listed(), '10.0.0.1 . 6 . 80', 'one at the same time');
  }

  nft('delete table netdev directord');
  await replace(guard, state([2, 3]));
  t.match(listed(), '10.0.0.2 . 6 . 80', 'what no longer fits is rebuilt');
  t.notMatch(listed(), '10.0.0.1 . 6 . 80');
  t.equal(await guard.restore(), false);
  await guard.remove();
});

t.test('several changes are one transaction, and none is lost by one that fails', { skip }, async (t) => {
  const guard = await opened();
  const nfTables = new NfTables();
  const before = nfTables.generation();
  guard.change({ added: { ...nobodys, services: [endpoint(4)] }, removed: nobodys });
  guard.change({ added: nobodys, removed: { ...nobodys, services: [endpoint(1), endpoint(4)] } });
  guard.change({ added: { ...nobodys, services: [endpoint(5)] }, removed: nobodys });
  t.equal(nfTables.generation(), before, 'nothing happens before it is applied');
  await guard.apply();
  t.equal(nfTables.generation(), before + 1);
  t.equal(nfTables.elements('netdev', 'directord', 'services4'), services.length);
  await guard.apply();
  guard.change({ added: { ...nobodys, services: [endpoint(6)] }, removed: nobodys });
  guard.change({ added: nobodys, removed: { ...nobodys, services: [endpoint(6)] } });
  await guard.apply();
  t.equal(nfTables.generation(), before + 1, 'without a change there is no transaction');

  const { interfaces } = state();
  guard.change({
    added: { ...nobodys, services: [endpoint(7)] },
    removed: nobodys,
    interfaces: [...interfaces, { index: 99, name: 'a"b' }],
  });
  await t.rejects(guard.apply(), /cannot name the interface a"b/);
  await t.rejects(guard.apply(), /cannot name the interface a"b/);
  guard.change({ added: nobodys, removed: nobodys, interfaces });
  await guard.apply();
  t.match(listed(), '10.0.0.7 . 6 . 80');
  nfTables.close();
  await guard.remove();
});

t.test('where not even rebuilding succeeds, the next call tries again', { skip }, async (t) => {
  const guard = await opened();
  nft('delete table netdev directord');
  // nobody else may change a table while its owner lives
  const owner = spawn('nft', ['-i'], { stdio: ['pipe', 'ignore', 'inherit'] });
  owner.stdin.write('add table netdev directord { flags owner; }\n');
  await until(() => listed().includes('flags owner'));
  guard.change({ added: { ...nobodys, services: [endpoint(4)] }, removed: nobodys });
  await t.rejects(guard.apply(), /Operation not permitted/);
  await t.rejects(guard.restore(), /Operation not permitted/);
  owner.stdin.end();
  await once(owner, 'exit');
  await guard.apply();
  t.match(listed(), '10.0.0.4 . 6 . 80', 'with what was wanted');
  t.match(listed(), '10.0.0.1 . 6 . 80');
  t.equal(await guard.restore(), false);
  await guard.remove();
});

t.test('what nf_tables tells', { skip }, async (t) => {
  const nfTables = new NfTables();
  t.equal(nfTables.comment('inet', 'nobody'), undefined);
  nft('add table inet nobody');
  t.equal(nfTables.comment('inet', 'nobody'), '');
  nft('delete table inet nobody');
  const guard = await opened();
  t.equal(nfTables.comment('netdev', 'directord'), 'directord');
  t.equal(nfTables.comment('inet', 'directord'), 'directord');
  t.same(nfTables.chains('inet', 'directord').get('input'), {
    rules: ['directord', 'directord', 'directord'],
    drops: false,
  });
  t.equal(nfTables.elements('inet', 'directord', 'marks4'), 1);
  t.throws(() => nfTables.elements('inet', 'directord', 'no such set'), /No such file/);
  nfTables.close();
  await guard.remove();
});
