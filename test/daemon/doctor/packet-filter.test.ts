import t from 'tap';
import { gatherChains } from '../../../src/daemon/doctor/gather/firewall.ts';
import { readKernelServices } from '../../../src/daemon/doctor/gather/kernel-services.ts';
import { readSockets } from '../../../src/daemon/doctor/gather/listeners.ts';
import { readIptables } from '../../../src/daemon/doctor/firewall/iptables.ts';
import { readNft } from '../../../src/daemon/doctor/firewall/nft.ts';
import type { Chain, Packet } from '../../../src/daemon/doctor/firewall/rules.ts';
import { dropOf } from '../../../src/daemon/doctor/firewall/rules.ts';

const web: Packet = {
  family: 'inet',
  destination: '10.1.0.100',
  protocol: 'tcp',
  destinationPort: '80',
  state: 'new',
};

function fate(chains: readonly Chain[], packet: Packet = web): string {
  const drop = dropOf(packet, chains, ['prerouting', 'input']);
  return drop === undefined ? 'passes' : `${drop.certain ? 'dropped' : 'perhaps'} by ${drop.by.text}`;
}

void t.test('what becomes of a packet in rules of iptables', (t) => {
  const table = 'iptables -t filter';
  const cases: [rules: string[], policy: string, fate: string][] = [
    [[], 'ACCEPT', 'passes'],
    [[], 'DROP', `dropped by the policy of ${table} INPUT`],
    [['-p tcp -m tcp --dport 80 -j ACCEPT'], 'DROP', 'passes'],
    [['-p tcp -m multiport --dports 22,80:90 -j ACCEPT'], 'DROP', 'passes'],
    [['-p tcp -m tcp ! --dport 80 -j ACCEPT'], 'DROP', `dropped by the policy of ${table} INPUT`],
    [['-s 10.0.0.0/8 -j ACCEPT'], 'DROP', `perhaps by the policy of ${table} INPUT`],
    [
      ['-d 10.1.0.0/16 -p tcp -j DROP'],
      'ACCEPT',
      `dropped by ${table} -A INPUT -d 10.1.0.0/16 -p tcp -j DROP`,
    ],
    [['! -d 10.1.0.0/16 -j DROP', '-d 10.1.0.101/32 -j DROP', '-p udp -j DROP'], 'ACCEPT', 'passes'],
    [['-m conntrack --ctstate INVALID -j DROP'], 'ACCEPT', 'passes'],
    [
      ['-m conntrack ! --ctstate ESTABLISHED -j DROP'],
      'ACCEPT',
      `dropped by ${table} -A INPUT -m conntrack ! --ctstate ESTABLISHED -j DROP`,
    ],
    [
      ['-m limit --limit 1/sec -j ACCEPT', '-j REJECT --reject-with icmp-port-unreachable'],
      'ACCEPT',
      `perhaps by ${table} -A INPUT -j REJECT --reject-with icmp-port-unreachable`,
    ],
    [['-m comment --comment "- j DROP --dport 80" -j LOG --log-prefix "x -j DROP"'], 'ACCEPT', 'passes'],
    [['-p tcp -j WEB', '-j DROP'], 'ACCEPT', 'passes'],
    [['-p tcp -g TWO', '-j DROP'], 'ACCEPT', 'passes'],
    [['-i lo -j DROP'], 'ACCEPT', `perhaps by ${table} -A INPUT -i lo -j DROP`],
    [['-j LOOP'], 'ACCEPT', 'passes'],
    [['-j DIRECTORD'], 'ACCEPT', 'passes'],
  ];
  for (const [rules, policy, expected] of cases) {
    const text = `# Generated\n*filter\n:INPUT ${policy} [0:0]\n:WEB - [0:0]\n:TWO - [0:0]\n:LOOP - [0:0]\n:DIRECTORD - [0:0]
${rules.map((rule) => `-A INPUT ${rule}\n`).join('')}-A WEB -p tcp -m tcp --dport 81 -j RETURN\n-A WEB -j ACCEPT
-A TWO -p udp -j DROP\n-A LOOP -j LOOP\n-A DIRECTORD -j DROP\nCOMMIT\n`;
    t.equal(fate(readIptables(text, 'iptables')), expected, rules.join('; '));
  }
  t.end();
});

const nft = (...rules: object[][]): string =>
  JSON.stringify({
    nftables: [
      { metainfo: { version: '1.0.6' } },
      { table: { family: 'inet', name: 'w' } },
      {
        chain: {
          family: 'inet',
          table: 'w',
          name: 'in',
          hook: 'input',
          type: 'filter',
          prio: 0,
          policy: 'accept',
        },
      },
      { chain: { family: 'inet', table: 'w', name: 'deny' } },
      ...rules.map((expr, i) => ({ rule: { family: 'inet', table: 'w', chain: 'in', handle: i + 1, expr } })),
      {
        rule: {
          family: 'inet',
          table: 'w',
          chain: 'deny',
          handle: 99,
          expr: [{ counter: null }, { drop: null }],
        },
      },
    ],
  });
const match = (left: object, right: unknown, op = '=='): object => ({ match: { op, left, right } });
const payload = (protocol: string, field: string): object => ({ payload: { protocol, field } });

void t.test('what becomes of a packet in rules of nft', (t) => {
  const drop = { drop: null };
  const cases: [rules: object[][], fate: string][] = [
    [
      [[match(payload('tcp', 'dport'), { set: [22, { range: [79, 81] }] }), drop]],
      'dropped by nft rule inet w in handle 1',
    ],
    [[[match(payload('udp', 'dport'), 80), drop]], 'passes'],
    [[[match(payload('ip6', 'daddr'), '::1', '!='), drop]], 'passes'],
    [
      [[match(payload('ip', 'daddr'), { prefix: { addr: '10.1.0.0', len: 24 } }), { reject: null }]],
      'dropped by nft rule inet w in handle 1',
    ],
    [[[match(payload('ip', 'daddr'), '@blocked'), drop]], 'perhaps by nft rule inet w in handle 1'],
    [
      [
        [match({ ct: { key: 'state' } }, ['established', 'related'], 'in'), { accept: null }],
        [{ jump: { target: 'deny' } }],
      ],
      'dropped by nft rule inet w deny handle 99',
    ],
    [
      [[match({ fib: { result: 'oif', flags: ['saddr'] } }, false), drop]],
      'perhaps by nft rule inet w in handle 1',
    ],
    [[[match({ meta: { key: 'l4proto' } }, { set: ['tcp', 'udp'] }), { accept: null }], [drop]], 'passes'],
  ];
  for (const [rules, expected] of cases) {
    const text = nft(...rules);
    t.equal(fate(readNft(text, () => false)), expected, JSON.stringify(rules));
    t.equal(fate(readNft(text, (_, table) => table === 'w')), 'passes');
  }
  t.end();
});

void t.test(
  'rules of iptables that are kept in nft are read once; the guard of directord is left out',
  (t) => {
    const answers = new Map([
      ['iptables-save', '*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n'],
      ['ip6tables-save', ''],
      [
        'nft',
        JSON.stringify({
          nftables: ['ip filter', 'inet directord', 'inet mine'].map((name) => {
            const [family, table] = name.split(' ');
            return { chain: { family, table, name: 'INPUT', hook: 'input', policy: 'drop' } };
          }),
        }),
      ],
    ]);
    const run = (file: string) => ({ stdout: answers.get(file) ?? '', failure: undefined, missing: false });
    t.same(
      gatherChains(run)?.map(({ table }) => table),
      ['iptables -t filter', 'nft inet mine'],
    );
    const missing = { stdout: '', failure: 'not installed', missing: true };
    t.equal(
      gatherChains(() => missing),
      undefined,
    );
    t.equal(
      gatherChains((file) => (file === 'nft' ? { ...missing, missing: false } : run(file))),
      undefined,
      'no leave to look',
    );
    t.same(
      gatherChains((file) => (file === 'nft' ? run(file) : missing))?.map(({ table }) => table),
      ['nft ip filter', 'nft inet mine'],
    );
    t.end();
  },
);

void t.test('files of the kernel', (t) => {
  const row = (local: string, state: string) =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 4711 1`;
  t.same(readSockets(`head\n${row('6400010A:0050', '0A')}\n${row('0100007F:1F90', '01')}\n`, 'tcp'), [
    { protocol: 'tcp', address: '10.1.0.100', port: 80, inode: '4711' },
  ]);
  t.same(readSockets(`head\n${row('B80D0120000000000000000001000000:0035', '07')}\n`, 'udp'), [
    { protocol: 'udp', address: '2001:db8::1', port: 53, inode: '4711' },
  ]);
  const table = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A010064:0050 rr
  -> 0A02000B:0050      Masq    1      0          0
UDP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0035 wlc persistent 300 FFFFFFFF
FWM  00000007 rr
`;
  t.same(readKernelServices(table), ['tcp:10.1.0.100:80', 'udp:[2001:db8::1]:53', 'fwm:7']);
  t.end();
});
