import { execFileSync } from 'node:child_process';
import type { Test } from 'tap';
import t from 'tap';
import { parseMarkRules } from '../../../src/engines/marks/iptables-marks.ts';
import { MarkRules } from '../../../src/engines/marks/mark-rules.ts';
import { parseNftMarkRules } from '../../../src/engines/marks/nft-marks.ts';
import { packetFilterMarks } from '../../../src/engines/marks/packet-filter-marks.ts';
import type { MarkedPacket } from '../../../src/engines/marks/packet-matches.ts';
import type { Capture } from '../../../src/platform/capture.ts';
import { openCapture } from '../../../src/platform/capture.ts';
import { readPacketFilter } from '../../../src/platform/packet-filter-text.ts';
import { IpPacket } from '../../../src/wire/ip-packet.ts';
import { encode } from '../../support/packet-encode.ts';
import type { PacketText } from '../../support/packet-text.ts';
import { until } from '../../support/until.ts';
import { enterOwnNetwork, ip, linkAddress, skip, wire } from '../../platform/own-network.ts';

function packetOf(text: PacketText): MarkedPacket {
  const bytes = encode(text);
  const packet = new IpPacket();
  if (packet.read(bytes, 0, bytes.length) !== 0) throw new Error(JSON.stringify(text));
  return packet;
}

function save(...rules: readonly string[]): string {
  const chains = new Set(rules.map((rule) => rule.split(' ')[1] ?? ''));
  const declared = [...new Set([...chains, 'PREROUTING', 'INPUT', 'OUTPUT'])].map(
    (name) => `:${name} - [0:0]`,
  );
  return ['*mangle', ...declared, ...rules, 'COMMIT', ''].join('\n');
}

const web: PacketText = { src: '10.0.0.1', dst: '10.1.0.100', tcp: { sport: 5000, dport: 80, flags: 'S' } };

t.test('marks of a plain rule', (t) => {
  const { rules, refused } = parseMarkRules(
    save(
      '[5:300] -A PREROUTING -d 10.1.0.100/32 -p tcp -m tcp --dport 80 -j MARK --set-xmark 0xffffffff/0xffffffff',
    ),
  );
  t.same(refused, []);
  const marks = new MarkRules(rules);
  t.equal(marks.markOf(packetOf(web), 'eth0'), 4294967295);
  t.equal(marks.markOf(packetOf({ ...web, dst: '10.1.0.101' }), 'eth0'), 0);
  t.equal(marks.markOf(packetOf({ ...web, src: '2001:db8::1', dst: '2001:db8::2' }), 'eth0'), 0);
  t.ok(marks.canGive(4, 4294967295));
  t.notOk(marks.canGive(4, 7));
  t.notOk(marks.canGive(6, 4294967295));
  t.end();
});

t.test('a rule that cannot be followed is refused by name, where it matters', (t) => {
  const mark = '-j MARK --set-xmark 0x7/0xffffffff';
  const some = `-A PREROUTING -p tcp ${mark}`;
  const table: readonly [
    what: string,
    rules: readonly string[],
    refused: readonly [string, number | undefined][],
  ][] = [
    ['a condition', [`-A PREROUTING -m conntrack --ctstate NEW ${mark}`], [['-m conntrack', 7]]],
    [
      'a known module, an unknown option',
      [`-A PREROUTING -p tcp -m tcp --tcp-flags SYN SYN ${mark}`],
      [['--tcp-flags SYN', 7]],
    ],
    [
      'an unknown mark',
      ['-A PREROUTING -p tcp -j CONNMARK --restore-mark --nfmask 0xff'],
      [['unknown mark', undefined]],
    ],
    ['bits', ['-A PREROUTING -m set --match-set x src -j MARK --set-xmark 0x1/0x1'], [['-m set', undefined]]],
    ['a way around', ['-A PREROUTING -m set --match-set x src -j ACCEPT', some], [['-m set', undefined]]],
    [
      'a way around in a chain',
      ['-A PREROUTING -j A', '-A A -m set --match-set x src -j RETURN', `-A A ${mark}`],
      [['-m set', undefined]],
    ],
    ['a way around that comes later', [some, '-A PREROUTING -m set --match-set x src -j ACCEPT'], []],
    ['a way around where nothing is marked', ['-A PREROUTING -m set --match-set x src -j ACCEPT'], []],
    ['a firewall', ['-A PREROUTING -m conntrack --ctstate INVALID -j DROP', some], []],
    ['another target', ['-A PREROUTING -m set --match-set x src -j LOG --log-prefix "a -j MARK"', some], []],
    ['a mark for the connection', ['-A PREROUTING -j CONNMARK --save-mark', some], []],
    ['another hook', [`-A OUTPUT -m set --match-set x src ${mark}`], []],
    ['a mark that comes too late', [`-A INPUT -p tcp ${mark}`], [['in time', 7]]],
    ['an unreachable chain', [`-A A -m set --match-set x src ${mark}`], []],
    ['a comment like an option', [`-A PREROUTING -m comment --comment "-m \\"x\\" -p" ${mark}`], []],
  ];
  for (const [what, rules, expected] of table) {
    const { refused } = parseMarkRules(save(...rules));
    t.same(
      refused.map((one) => one.mark),
      expected.map(([, number]) => number),
      what,
    );
    refused.forEach((one, i) => {
      t.ok(one.reason.includes(expected[i]?.[0] ?? '?'), `${what}: ${one.reason}`);
      t.ok(rules.includes(one.rule), one.rule);
    });
  }
  t.end();
});

t.test('a rule of nft that cannot be followed is refused too', (t) => {
  const chain = { family: 'inet', table: 'm', name: 'pre', type: 'filter', hook: 'prerouting', prio: -150 };
  const parse = (...expr: readonly object[]): ReturnType<typeof parseNftMarkRules> =>
    parseNftMarkRules(
      JSON.stringify({
        nftables: [
          { chain },
          { rule: { family: 'inet', table: 'm', chain: 'pre', handle: 4, comment: 'vips', expr } },
        ],
      }),
      new Set(),
    );
  const set = (value: unknown): object => ({ mangle: { key: { meta: { key: 'mark' } }, value } });
  const unknown = { match: { op: 'in', left: { ct: { key: 'state' } }, right: 'new' } };
  t.same(parse(unknown, set(7)).refused, [
    {
      rule: 'rule with handle 4 of nft chain inet m pre (vips)',
      reason: `${JSON.stringify(unknown)} is not understood`,
      families: [4, 6],
      mark: 7,
    },
  ]);
  t.match(parse(set({ map: { key: 1, data: 2 } })).refused, [{ mark: undefined }]);
  t.match(parse({ limit: { rate: 5 } }, set(7)).refused, [{ mark: 7 }]);
  t.same(parse({ vmap: { key: 1, data: { set: [[1, { accept: null }]] } } }).refused, []);
  t.match(parse({ vmap: { key: 1, data: { set: [[1, { accept: null }]] } } }, set(7)).refused, [
    {},
    { mark: 7 },
  ]);
  t.same(parse({ counter: null }, set(7)).refused, []);
  t.end();
});

// From here on the kernel is asked.
const rounds = 300;

const pools = {
  4: {
    src: ['10.0.0.1', '10.0.7.1', '192.0.2.9'],
    dst: ['10.1.0.100', '10.1.0.101', '10.1.7.3', '10.3.0.5'],
  },
  6: {
    src: ['2001:db8::1', '2001:db8:0:7::1'],
    dst: ['2001:db8:1::100', '2001:db8:1::101', '2001:db8:1:7::1', '2001:db8:3::5'],
  },
} as const;
const ports = [53, 79, 80, 81, 443, 999, 1000, 1500, 2000, 2001];

/** Numbers that are the same in every run (xorshift). */
let seed = 20240601;
function pick<T>(from: readonly T[]): T {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return from[(seed >>> 0) % from.length] as T;
}

/** No later fragments: a kernel with nft reads ports from whatever they begin with, one with the old iptables none. */
function randomPacket(family: 4 | 6, number: number): PacketText {
  const ends = {
    src: pick(pools[family].src),
    dst: pick(pools[family].dst),
    ...(family === 4 ? { id: number, df: false } : { flow: number }),
  };
  const between = { sport: pick(ports), dport: pick(ports) };
  switch (pick(['tcp', 'tcp', 'udp', 'udp', 'icmp'] as const)) {
    case 'tcp':
      return { ...ends, tcp: { ...between, flags: 'S' } };
    case 'udp':
      return { ...ends, udp: { ...between, data: 'x' } };
    case 'icmp':
      return { ...ends, icmp: { is: 'echo request', id: 1, seq: 1 } };
  }
}

const captures = new Map<string, Capture>();
const linkAddresses = new Map<string, Uint8Array>();

/** Sends packets and gives the marks that the kernel saw on them after mangle, by packet number. */
async function kernelMarks(
  sent: readonly (readonly [name: string, packet: PacketText])[],
): Promise<Map<number, number>> {
  feed(
    `table inet witness {
    set four { typeof ip id . meta mark; flags dynamic; size 65535; }
    set six { typeof ip6 flowlabel . meta mark; flags dynamic; size 65535; }
    counter looked { }
    chain look { type filter hook prerouting priority -10;
      iifname { "in1", "in2" } ip id != 0 add @four { ip id . meta mark } counter name looked drop
      iifname { "in1", "in2" } ip6 flowlabel != 0 add @six { ip6 flowlabel . meta mark } counter name looked drop
    }
  }`,
    'nft',
    '-f',
    '-',
  );
  for (const [name, text] of sent) {
    const bytes = encode(text);
    const to = linkAddresses.get(name) ?? new Uint8Array(6);
    const frame = Buffer.concat([
      to,
      to.map((byte) => byte ^ 1),
      Buffer.from(text.src.includes(':') ? '86dd' : '0800', 'hex'),
      bytes,
    ]);
    captures.get(name)?.send(frame, frame.length);
  }
  await until(() => run('nft', 'list', 'counters').includes(`packets ${sent.length} `));
  const listed = JSON.parse(run('nft', '-j', 'list', 'table', 'inet', 'witness')) as {
    nftables: { set?: { elem?: { concat: [number, number] }[] } }[];
  };
  run('nft', 'delete', 'table', 'inet', 'witness');
  return new Map(listed.nftables.flatMap(({ set }) => (set?.elem ?? []).map(({ concat }) => concat)));
}

function run(file: string, ...args: readonly string[]): string {
  return execFileSync(file, args, { encoding: 'utf8' });
}

function feed(input: string, file: string, ...args: readonly string[]): void {
  execFileSync(file, args, { input });
}

async function compare(t: Test): Promise<void> {
  const sent = Array.from({ length: 2 * rounds }, (_, i) => {
    const name = pick(['in1', 'in2']);
    return [name, randomPacket(i < rounds ? 4 : 6, i + 1)] as const;
  });
  const { rules, refused } = packetFilterMarks(await readPacketFilter());
  t.same(refused, []);
  const seen = await kernelMarks(sent);
  const told = new Set<number>();
  sent.forEach(([name, text], i) => {
    const mark = rules.markOf(packetOf(text), name);
    told.add(mark);
    if (mark !== seen.get(i + 1)) t.equal(mark, seen.get(i + 1), JSON.stringify({ name, ...text }));
  });
  t.ok(told.size > 6, `the rules gave ${[...told].join(', ')}`);
}

if (skip === false) {
  enterOwnNetwork();
  for (const name of ['in1', 'in2']) {
    wire(`${name}-far`, name);
    ip(`address add ${name === 'in1' ? '10.0.0.254' : '10.0.7.254'}/24 dev ${name}`);
    linkAddresses.set(name, linkAddress(name));
    captures.set(name, openCapture(`${name}-far`, { ringBytes: 1 << 20 }, { frame: () => undefined }));
  }
  t.teardown(() => {
    // The captures keep the loop alive.
    setImmediate(() => process.exit());
  });
}

t.test('marks as iptables gives them', { skip }, async (t) => {
  const shared = [
    '-N WEB',
    '-N DEEP',
    '-A PREROUTING -p tcp -m multiport --dports 80,443,1000:2000 -j MARK --set-mark 1',
    '-A PREROUTING -p udp --dport 53 -j MARK --set-mark 2',
    '-A PREROUTING -p udp ! --sport 1000:2000 -m comment --comment "say \\"hi\\" -j DROP" -j MARK --or-mark 0x10',
    '-A PREROUTING -i in2 -m mark --mark 0x10/0x10 -j MARK --set-xmark 0x5/0x4',
    '-A PREROUTING ! -i in+ -j MARK --set-mark 99',
    '-A PREROUTING ! -p tcp -m mark ! --mark 0 -j RETURN',
    '-A PREROUTING -p tcp -m multiport --ports 79,81 -g WEB',
    '-A PREROUTING -m mark --mark 1 -j WEB',
    '-A PREROUTING -p tcp -m multiport ! --sports 80,443 -j MARK --xor-mark 0x100',
    '-A WEB -p tcp --sport 53 -j ACCEPT',
    '-A WEB -j DEEP',
    '-A WEB -j MARK --or-mark 0x40',
    '-A DEEP -p tcp --dport :443 -j MARK --set-mark 8',
    '-A DEEP -p tcp --sport 2001 -j RETURN',
    '-A DEEP -j MARK --and-mark 0xfffffff0',
  ];
  const own = {
    iptables: [
      '-A PREROUTING -d 10.1.0.100 -j MARK --xor-mark 0x1000',
      '-A PREROUTING ! -s 10.0.0.0/16 -j MARK --xor-mark 0x2000',
      '-A PREROUTING -d 10.0.7.0/255.0.255.0 -j MARK --or-mark 0x80000000',
    ],
    ip6tables: [
      '-A PREROUTING -d 2001:db8:1::100 -j MARK --xor-mark 0x1000',
      '-A PREROUTING ! -s 2001:db8::/64 -j MARK --xor-mark 0x2000',
      '-A PREROUTING -d 2001:0:0:7::/ffff:0:0:ffff:: -j MARK --or-mark 0x80000000',
    ],
  };
  for (const program of ['iptables', 'ip6tables'] as const) {
    feed(
      [
        '*mangle',
        ...shared.map((rule) => rule.replace(/^-N (.*)$/, ':$1 - [0:0]')),
        ...own[program],
        'COMMIT',
        '',
      ].join('\n'),
      `${program}-restore`,
      '--noflush',
    );
    run(
      program,
      '-t',
      'raw',
      '-A',
      'PREROUTING',
      '-p',
      'tcp',
      '--sport',
      '443',
      '-j',
      'MARK',
      '--set-mark',
      '0x200',
    );
  }
  await compare(t);
  for (const program of ['iptables', 'ip6tables'])
    for (const table of ['raw', 'mangle']) {
      run(program, '-t', table, '-F');
      run(program, '-t', table, '-X');
    }
});

t.test('marks as nft gives them', { skip }, async (t) => {
  feed(
    `table inet shop {
    set vips { type ipv4_addr; flags interval; elements = { 10.1.0.100 comment "a", 10.1.7.0/24, 10.3.0.1-10.3.0.9 } }
    chain first { type filter hook prerouting priority mangle; policy accept;
      ip daddr @vips tcp dport { 80, 443, 1000-2000 } counter meta mark set 7 comment "web"
      ip saddr != 10.0.0.0/16 udp dport 53 meta mark set 0x2 accept
      iifname "in*" meta l4proto { tcp, udp } th dport 999 meta mark set mark or 0x10
      iifname != "in1" meta mark and 0x10 == 0x10 meta mark set mark xor 0x70
      ip6 daddr 2001:db8:1::/64 tcp dport != 80 jump other
      ip6 saddr { 2001:db8:0:7::1, 2001:db8:9::-2001:db8:9::ffff } udp sport 53-999 meta mark set 0x80000001
      ip protocol tcp meta mark 0 return
      meta nfproto ipv6 goto third
      meta l4proto != tcp meta mark set mark or 0x400
    }
    chain other { meta mark set 8; log prefix "x" group 5; tcp sport 2001 return; meta mark set mark and 0xf; }
    chain third { meta mark != { 0, 8 } meta mark set mark or 0x800; }
    chain second { type filter hook prerouting priority -20; meta mark 7 meta mark set 9; }
  }`,
    'nft',
    '-f',
    '-',
  );
  await compare(t);
  run('nft', 'delete', 'table', 'inet', 'shop');
});
