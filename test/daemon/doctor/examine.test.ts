import t from 'tap';
import { examine } from '../../../src/daemon/doctor/examine.ts';
import type { Facts } from '../../../src/daemon/doctor/facts.ts';
import { report } from '../../../src/daemon/doctor/finding.ts';
import type { Virtual } from '../../../src/config/model.ts';
import type { Link, Route } from '../../../src/platform/netlink.ts';
import { real, virtual } from '../../support/configuration.ts';

const link = (index: number, name: string, changes: Partial<Link> = {}): Link => ({
  ...{
    index,
    name,
    mac: new Uint8Array(6),
    mtu: 1500,
    up: true,
    ethernet: true,
    loopback: false,
    arp: true,
    master: 0,
    kind: '',
  },
  ...changes,
});

const route = (interfaceIndex: number, changes: Partial<Route> = {}): Route => ({
  ...{
    interfaceIndex,
    gateway: undefined,
    source: undefined,
    mtu: 0,
    mtuExpires: undefined,
    kind: 'unicast',
  },
  ...changes,
});

/** A director as it should be: VIP in front on eth0, real servers behind on eth1. */
const well: Facts = {
  engine: 'packet',
  root: true,
  links: [
    link(1, 'lo', { loopback: true, ethernet: false, arp: false, mtu: 65536 }),
    link(2, 'eth0'),
    link(3, 'eth1'),
  ],
  addresses: [
    { interfaceIndex: 1, address: '127.0.0.1', prefix: 8 },
    { interfaceIndex: 2, address: '10.1.0.1', prefix: 24 },
    { interfaceIndex: 2, address: '10.1.0.100', prefix: 32 },
    { interfaceIndex: 3, address: '10.2.0.1', prefix: 24 },
  ],
  settings: new Map(),
  routes: new Map([['10.2.0.11', route(3, { source: '10.2.0.1' })]]),
  outside: { inet: route(2, { gateway: '10.1.0.254', source: '10.1.0.1' }), inet6: undefined },
  neighbours: [],
  pings: new Map([['10.2.0.11', true]]),
  listeners: [],
  kernelServices: undefined,
  chains: [],
  conntrack: { count: 1, most: 100 },
  missingTools: new Set(),
  unloadable: new Map(),
  offloads: new Map(),
};

const masq = [virtual([real('10.2.0.11:80', { forwarding: 'masq' })])];
const gate = [virtual([real('10.2.0.11:80', { forwarding: 'gate' })])];
const ipip = [virtual([real('10.2.0.11:80', { forwarding: 'ipip' })])];

/** Everything that is not ok, as it is printed. */
function sick(virtuals: readonly Virtual[], changes: Partial<Facts> = {}): string {
  return report(examine({ ...well, ...changes }, virtuals))
    .split('\n')
    .filter((line) => /^(warn|FAIL)/.test(line))
    .join('\n');
}

/** As it is printed about the ebpf engine. */
function ofEbpf(changes: Partial<Facts>): string {
  return report(examine({ ...well, engine: 'ebpf', ...changes }, masq));
}

const settings = (...pairs: [string, number][]): Pick<Facts, 'settings'> => ({ settings: new Map(pairs) });

void t.test('a good director is told so, with and without a configuration', (t) => {
  for (const virtuals of [masq, gate, []]) t.equal(sick(virtuals), '');
  t.match(report(examine(well, masq)), /\n\d+ ok, 0 warn, 0 FAIL\n$/);
  t.end();
});

void t.test('the worst is said last', (t) => {
  const lines = report(
    examine(
      { ...well, root: false, kernelServices: ['udp:10.9.0.1:53'], conntrack: { count: 90, most: 100 } },
      [],
    ),
  )
    .split('\n')
    .map((line) => line.slice(0, 5));
  t.same([...lines].slice(-6), ['ok   ', 'warn ', 'warn ', 'FAIL ', lines.at(-2), '']);
  t.end();
});

void t.test('how full the tables of the ebpf engine are', (t) => {
  const table = { family: 4, table: 'connections', slots: 1000, refused: 0, unpromoted: 0 } as const;
  const half = { ...table, family: 6, table: 'half-open connections' } as const;
  const drops = new Map([['no route', 7]]);
  const fill = {
    tables: [
      { ...table, used: 10 },
      { ...half, used: 760 },
    ],
    drops,
  };
  const told = ofEbpf({ fill });
  t.match(told, /^ok {4}IPv4 connections: 10 of 1000 slots in use \(1 %\)$/m);
  t.match(told, /^ok {4}packets dropped so far: 7 no route$/m);
  t.match(told, /^warn {2}IPv6 half-open connections: 760 of 1000 slots .* -> .*--connections$/m);
  const refused = ofEbpf({ fill: { tables: [{ ...table, used: 10, refused: 3 }], drops: new Map() } });
  t.match(refused, /^warn {2}IPv4 connections: .*; 3 found no room so far -> /m);
  t.match(refused, /^ok {4}packets dropped so far: none$/m);
  const unpromoted = ofEbpf({ fill: { tables: [{ ...table, used: 10, unpromoted: 4 }], drops: new Map() } });
  t.match(
    unpromoted,
    /^warn {2}IPv4 connections: .*; 4 stayed among the half-open ones.* -> .*--connections$/m,
  );
  t.end();
});

void t.test('what no test machine has', (t) => {
  const cases: [string, RegExp, virtuals: readonly Virtual[], Partial<Facts>][] = [
    [
      'the kernel has the service',
      /^FAIL {2}tcp:10\.1\.0\.100:80: the kernel IPVS has this service too/,
      masq,
      { kernelServices: ['tcp:10.1.0.100:80'] },
    ],
    [
      'a full table',
      /^FAIL {2}conntrack: 100 of 100 .* -> sysctl -w net\.netfilter\.nf_conntrack_max=400$/,
      masq,
      { conntrack: { count: 100, most: 100 } },
    ],
    [
      'a table that is nearly full',
      /^warn {2}conntrack: 81 of 100/,
      masq,
      { conntrack: { count: 81, most: 100 } },
    ],
    [
      'not root',
      /^FAIL {2}privilege: the packet engine needs root -> run it with sudo$/,
      masq,
      { root: false },
    ],
    [
      'no libpcap',
      /^FAIL {2}package cap: .*libpcap\.so -> apt-get install libpcap0\.8$/,
      masq,
      { unloadable: new Map([['cap', 'no libpcap.so']]) },
    ],
    [
      'no packet filter',
      /^FAIL {2}packet filter: neither nft nor iptables/,
      masq,
      { missingTools: new Set(['nft', 'iptables']) },
    ],
    ['rules that cannot be read', /^warn {2}firewall rules: cannot be read/, masq, { chains: undefined }],
    [
      'no forwarding for the ebpf engine',
      /^FAIL {2}ip_forward: 0: .* -> sysctl -w net\.ipv4\.ip_forward=1$/,
      masq,
      { engine: 'ebpf' },
    ],
    [
      'a tunnel in an ordinary network',
      /^warn {2}MTU to 10\.2\.0\.11: 1500 bytes less 20 of the tunnel are 1480, and clients send up to 1500: .* -> ip link set eth1 mtu 1520 /,
      ipip,
      {},
    ],
    [
      'a path MTU',
      /^warn {2}MTU to 10\.2\.0\.11: 1400 bytes, and/,
      masq,
      { routes: new Map([['10.2.0.11', route(3, { mtu: 1400 })]]) },
    ],
    [
      'clients beside the real servers',
      /^warn {2}real server 10\.2\.0\.11: tcp:10\.1\.0\.100:80: in one network with the virtual address/,
      masq,
      { addresses: [...well.addresses, { interfaceIndex: 3, address: '10.0.0.1', prefix: 8 }] },
    ],
    [
      'masq to loopback',
      /^FAIL {2}tcp:10\.1\.0\.100:80: packets of other hosts cannot be sent to 127\.0\.0\.1 by masq/,
      [virtual([real('127.0.0.1:80', { forwarding: 'masq' })])],
      {},
    ],
    [
      'its own real server',
      /^warn {2}real server 10\.2\.0\.1: an address of this host: .* must listen on port 80$/,
      [virtual([real('10.2.0.1:80', { forwarding: 'masq' })])],
      {},
    ],
    [
      'no ping, but ARP',
      /^warn {2}real server 10\.2\.0\.11: does not answer ping, though it is there/,
      masq,
      {
        pings: new Map([['10.2.0.11', false]]),
        neighbours: [
          { interfaceIndex: 3, address: '10.2.0.11', mac: new Uint8Array(6), reachable: true, fixed: false },
        ],
      },
    ],
    [
      'somebody else listens',
      /^warn {2}tcp:10\.1\.0\.100:80: nginx listens on :: port 80: it gets nothing while directord runs/,
      masq,
      { listeners: [{ protocol: 'tcp', address: '::', port: 80, process: 'nginx', ours: false }] },
    ],
  ];
  for (const [name, expected, virtuals, changes] of cases) t.match(sick(virtuals, changes), expected, name);
  t.end();
});

void t.test('what is no fault', (t) => {
  t.equal(
    sick(masq, { engine: 'relay', unloadable: new Map([['cap', 'no libpcap.so']]) }),
    '',
    'what only another engine needs',
  );
  t.equal(
    sick(masq, {
      listeners: [{ protocol: 'tcp', address: '10.1.0.100', port: 80, process: 'node', ours: true }],
    }),
    '',
    'directord listens',
  );
  t.equal(
    sick(masq, settings(['net/ipv4/conf/all/rp_filter', 1], ['net/ipv4/conf/lo/rp_filter', 2])),
    '',
    'loose outweighs strict',
  );
  const redirecting = settings(['net/ipv4/conf/eth1/send_redirects', 1], ['net/ipv4/ip_forward', 1]);
  t.equal(sick(masq, redirecting), '', 'redirects where clients are elsewhere');
  t.match(
    sick(masq, { ...redirecting, outside: { inet: route(3), inet6: undefined } }),
    /^warn {2}send_redirects of eth1/,
  );
  t.end();
});

void t.test('a real server behind a tunnel', (t) => {
  const here = { interfaceIndex: 2, address: '10.2.0.11', prefix: 24 };
  const tunnel = { interfaceIndex: 4, address: '10.1.0.100', prefix: 32 };
  const device = link(4, 'tunl0', { ethernet: false, arp: false });
  const silent: [string, number][] = [
    ['net/ipv4/conf/all/arp_ignore', 1],
    ['net/ipv4/conf/all/arp_announce', 2],
  ];
  const prepared = { addresses: [here, tunnel], links: [...well.links.slice(0, 2), device] };
  t.equal(sick(ipip, { ...prepared, ...settings(...silent) }), '');
  const strict: [string, number] = ['net/ipv4/conf/all/rp_filter', 1];
  t.match(
    sick(ipip, { ...prepared, ...settings(...silent, strict) }),
    /^FAIL {2}rp_filter of tunl0: 1 .* -> sysctl -w net\.ipv4\.conf\.tunl0\.rp_filter=2$/,
  );
  t.match(sick(ipip, { ...prepared, ...settings(silent[1] ?? ['', 0]) }), /^FAIL {2}arp_ignore: 0 on eth0/);
  t.match(
    sick(ipip, { ...prepared, ...settings(...silent), addresses: [here] }),
    /^FAIL .*10\.1\.0\.100 is not an address of this host/,
  );
  const down = { ...prepared, links: [...well.links.slice(0, 2), { ...device, up: false }] };
  t.match(sick(ipip, { ...down, ...settings(...silent) }), /^FAIL .*tunl0, which unwraps packets, is down/);
  t.end();
});

void t.test('the ebpf engine: where it is attached, and what keeps it from forwarding', (t) => {
  const attachments = new Map([
    ['eth0', { xdp: 'native', reason: 'a network card' } as const],
    ['eth1', { xdp: 'none', reason: 'MTU 9000' } as const],
  ]);
  const on = settings(['net/ipv4/ip_forward', 1], ['net/core/bpf_jit_enable', 1]);
  t.match(ofEbpf({ attachments, ...on }), /^ok +attachment of eth0: XDP and tc: a network card$/m);
  t.match(ofEbpf({ attachments, ...on }), /^ok +attachment of eth1: tc: MTU 9000$/m);
  t.match(ofEbpf({ attachments, ...on }), / 0 warn, 0 FAIL$/m);
  t.match(ofEbpf({ attachments }), /^FAIL +ip_forward: 0: .* -> sysctl -w net.ipv4.ip_forward=1$/m);
  t.match(ofEbpf({ bpfRefused: 'this kernel has no BPF' }), /^FAIL +BPF: this kernel has no BPF$/m);
  t.match(
    ofEbpf({ attachments, ...settings(['net/ipv4/ip_forward', 1], ['net/ipv4/conf/eth1/forwarding', 0]) }),
    /^warn +forwarding of eth1: 0: .* -> sysctl -w net.ipv4.conf.eth1.forwarding=1$/m,
  );
  t.match(ofEbpf(settings(['net/core/bpf_jit_enable', 0])), /^warn +bpf_jit_enable: 0/m);
  const unloadable = new Map([['libbpf', 'libbpf is not installed']]);
  t.match(ofEbpf({ unloadable }), /^FAIL +package libbpf: .* -> apt-get install libbpf1$/m);
  t.notMatch(report(examine({ ...well, attachments }, masq)), /attachment of/, 'of no other engine');
  t.end();
});
