import { existsSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { GuardClaims } from '../../src/platform/kernel-guard.ts';
import { openKernelGuard } from '../../src/platform/kernel-guard.ts';
import type { PacketText } from '../support/packet-text.ts';
import {
  addresses,
  answers,
  buildNetwork,
  inject,
  nobodys,
  open,
  openSide,
  replace,
  run,
  stateFor,
} from './guard-network.ts';
import { ip, skip, wire } from './own-network.ts';

if (skip === false) buildNetwork();

const { client, vip, server } = addresses[4];
const claims: GuardClaims = {
  services: [{ family: 4, protocol: 'tcp', address: vip, port: 80 }],
  replies: [{ family: 4, protocol: 'tcp', address: server, port: 80 }],
  marks: [],
};
const syn: PacketText = { src: client, dst: vip, tcp: { sport: 1, dport: 80, flags: 'S' } };
const isGuarded = async (): Promise<boolean> => (await answers('client', syn)).length === 0;

t.test('nft: nothing is dropped but what arrives at a captured interface', { skip }, async (t) => {
  const reply: PacketText = { src: server, dst: client, tcp: { sport: 80, dport: 5000, flags: 'SA' } };
  const guard = await openKernelGuard({ name: 'directord', means: 'nft' });
  await replace(guard, stateFor(claims, ['front']));
  t.ok(await isGuarded());
  t.equal((await answers('server', reply)).length, 1, 'what comes by another one is forwarded');

  const before = (await guard.counters()).services.packets;
  inject('client', syn, 5);
  await isGuarded();
  t.equal((await guard.counters()).services.packets, before + 1, "frames of a VLAN are the VLAN interface's");
  inject('client', syn, 0);
  await isGuarded();
  t.equal((await guard.counters()).services.packets, before + 3, 'those of VLAN 0 are not');
  await guard.remove();
});

t.test('nft: captured interfaces come and go', { skip }, async (t) => {
  const names = ['front', 'back', 'third'];
  const guard = await openKernelGuard({ name: 'directord', means: 'nft' });
  wire('other', 'third');
  const chains = (): number =>
    run('nft', 'list', 'ruleset').match(/hook ingress device "third"/g)?.length ?? 0;
  await replace(guard, stateFor(claims, names));
  t.equal(chains(), 1);
  const { packets } = (await guard.counters()).services;

  ip('link delete third');
  t.ok(await isGuarded(), 'the others stay guarded when one vanishes');
  t.notOk(await guard.restore(), 'which is not taken for somebody who removes rules');
  wire('other', 'third');
  await replace(guard, stateFor(claims, names));
  t.equal(chains(), 1, 'a new one of the same name');
  t.notOk(await guard.restore());
  t.equal((await guard.counters()).services.packets, packets + 1, 'the counters went on');

  ip('link delete third');
  run('nft', 'delete table netdev directord');
  t.ok(await guard.restore(), 'put back without the one that vanished');
  t.ok(await isGuarded());
  run('nft', 'flush chain netdev directord arriving4');
  t.notOk(await isGuarded());
  t.ok(await guard.restore(), 'rules that somebody took out of our table come back too');
  t.ok(await isGuarded());
  await replace(guard, stateFor(claims));
  t.equal(chains(), 0);
  await guard.remove();
});

const bridgeSettings = '/proc/sys/net/bridge';
const skipBridge = skip === false && !existsSync(bridgeSettings) ? 'the kernel has no br_netfilter' : skip;

t.test('a bridge with br_netfilter', { skip: skipBridge }, async (t) => {
  const filter = (value: 0 | 1): void => {
    for (const program of ['iptables', 'ip6tables'])
      writeFileSync(`${bridgeSettings}/bridge-nf-call-${program}`, String(value));
  };
  filter(1);
  wire('bridged', 'port');
  ip('link add bridge type bridge');
  ip('link set bridge addrgenmode none');
  ip('link set bridge address 02:00:00:00:00:77');
  ip('link set port master bridge');
  ip('link set bridge up');
  ip('address add 10.4.0.1/24 dev bridge');
  ip('address add 2001:db8:4::1/64 dev bridge nodad');
  writeFileSync('/proc/sys/net/ipv4/conf/bridge/rp_filter', '0');
  openSide('bridged', 'bridged', 'bridge', () => undefined);
  const captured: PacketText[] = [];
  open('bridge', (packet) => {
    if (packet.tcp !== undefined) captured.push(packet);
  });
  const replies = ([4, 6] as const).map((family) => ({
    src: family === 4 ? '10.4.0.11' : '2001:db8:4::11',
    dst: addresses[family].client,
    tcp: { sport: 80, dport: 5000, flags: 'SA' },
  }));
  const bridgedClaims: GuardClaims = {
    ...nobodys,
    replies: replies.map(({ src }) => ({
      family: src.includes(':') ? 6 : 4,
      protocol: 'tcp',
      address: src,
      port: 80,
    })),
  };
  const bridged = stateFor(bridgedClaims, ['front', 'bridge']);
  t.equal((await answers('bridged', ...replies)).length, 2, 'without a guard: forwarded');
  captured.length = 0;

  const guard = await openKernelGuard({ name: 'directord', means: 'nft' });
  await replace(guard, bridged);
  t.same(await answers('bridged', ...replies), []);
  t.same(
    captured.map(({ src }) => src),
    replies.map(({ src }) => src),
    'a capture has its copy of what the guard drops',
  );
  await guard.remove();

  const { interfaces } = bridged;
  const advice =
    /iptables: .* bridge bridge .* install .*nftables, or set net\.bridge\.bridge-nf-call-iptables and/;
  await t.rejects(openKernelGuard({ name: 'directord', means: 'iptables', interfaces }), advice);
  const iptables = await openKernelGuard({ name: 'directord', means: 'iptables' });
  await t.rejects(replace(iptables, bridged), advice, 'one that comes later too');
  filter(0);
  await replace(iptables, bridged);
  captured.length = 0;
  t.same(await answers('bridged', ...replies), []);
  t.equal(captured.length, 2, 'iptables without br_netfilter');
  await iptables.remove();
});
