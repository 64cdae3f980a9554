/** The ebpf engine with its real programs, in a network and a BPF file system of this process. Needs root and clang. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Verb } from '../../../src/director/verbs.ts';
import { ipipTunnel } from '../../../src/director/table.ts';
import type { EbpfOptions } from '../../../src/engines/ebpf/ebpf.ts';
import { createEbpf } from '../../../src/engines/ebpf/ebpf.ts';
import { Server, ServerFlag, Settings } from '../../../src/engines/ebpf/layout.ts';
import { Pins } from '../../../src/engines/ebpf/pins.ts';
import { removeEbpf } from '../../../src/engines/ebpf/remove.ts';
import type { AdoptedTable, Engine } from '../../../src/engines/engine.ts';
import { tcOn } from '../../../src/platform/bpf/bpf-link.ts';
import { BpfMap } from '../../../src/platform/bpf/bpf-map.ts';
import { Netlink } from '../../../src/platform/netlink.ts';
import { addressBytes } from '../../../src/util/ip.ts';
import { enterOwnNetwork, ip, wire } from '../../platform/own-network.ts';
import { ownBpffs, skip } from '../../platform/bpf/lab.ts';
import { roundRobin, tcp80 } from '../../support/table.ts';
import { waitFor } from '../../support/until.ts';

const compiled = process.env['DIRECTORD_BPF_OBJECT'];
const object = compiled ?? join(t.testdir(), 'directord.bpf.o');

function compile(): void {
  execFileSync(fileURLToPath(new URL('../../../packaging/compile-bpf', import.meta.url)), [object]);
}

const options: EbpfOptions = {
  instance: 'default',
  attach: 'auto',
  connections: 4096,
  sysctls: [],
  object,
};

const destination = (address: string, weight = 1) => ({
  id: { address, port: 80 },
  forwarding: 'masq' as const,
  weight,
  upperThreshold: 0,
  lowerThreshold: 0,
  tunnel: ipipTunnel,
});

function add(address: string, weight?: number): Verb {
  const { id, ...settings } = destination(address, weight);
  return { verb: 'add-destination', service: tcp80, destination: id, settings };
}

const table: readonly Verb[] = [
  { verb: 'set-timeouts', timeouts: { tcp: 700, tcpFin: 50, udp: 40 } },
  { verb: 'add-service', service: tcp80, settings: roundRobin },
  add('10.2.0.11'),
  add('10.2.0.12', 7),
  add('127.0.0.1'),
];

const adopted: AdoptedTable = {
  services: [
    {
      id: tcp80,
      settings: roundRobin,
      destinations: [destination('127.0.0.1'), destination('10.2.0.12', 7), destination('10.2.0.11')],
    },
  ],
  timeouts: { tcp: 700, tcpFin: 50, udp: 40 },
};

/** So many connections: in a map of its own, since the sweeper of the one that is there writes how many there are. */
function pretend(path: string, connections: number): void {
  const swept = BpfMap.openPinned(path);
  const record = Buffer.from(swept.view().slice(0, Settings.bytes));
  const { type, keySize, valueSize, maxEntries, flags } = swept;
  swept.close();
  record.writeUInt32LE(connections, Settings.used);
  const map = BpfMap.create({ name: 'settings', type, keySize, valueSize, maxEntries, flags });
  map.update(Buffer.alloc(4), record);
  unlinkSync(path);
  map.pin(path);
  map.close();
}

void t.test('a table that outlives its daemons', { skip }, async (t) => {
  if (compiled === undefined) compile();
  enterOwnNetwork();
  wire('front', 'client');
  wire('back', 'servers');
  ip('address add 10.1.0.100/24 dev front');
  ip('address add 10.2.0.1/24 dev back');
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '0');
  const root = ownBpffs();
  process.env['DIRECTORD_BPFFS'] = root;
  const netlink = new Netlink();
  const said: string[] = [];
  const events = {
    info: (message: string) => void said.push(message),
    problem: (message: string) => void said.push(message),
  };
  const start = async (
    changes: Partial<EbpfOptions> = {},
  ): Promise<{ engine: Engine; found: AdoptedTable | undefined; lines: string }> => {
    said.length = 0;
    const engine = createEbpf(events, { ...options, ...changes });
    const found = await engine.start();
    return { engine, found, lines: said.join('\n') };
  };
  const pins = new Pins('default', undefined, root);
  const map = <Result>(name: string, look: (map: BpfMap) => Result): Result => {
    const map = BpfMap.openPinned(pins.map(name));
    try {
      return look(map);
    } finally {
      map.close();
    }
  };
  const attached = (): number =>
    netlink.links().reduce((sum, { index }) => sum + tcOn(index, 'ingress').length, 0);
  const acceptLocal = (): string => readFileSync('/proc/sys/net/ipv4/conf/lo/accept_local', 'latin1').trim();
  const key = (address: string): Buffer => Buffer.concat([addressBytes(address)], 16);

  const first = await start();
  t.equal(first.found, undefined, 'there was none');
  t.match(first.lines, /^the ebpf engine is on .*front \(tc\)/);
  t.ok(attached() >= 5);
  for (const verb of table) first.engine.apply(verb);
  await first.engine.settled();
  t.match(said.join('\n'), 'net.ipv4.ip_forward is 0', 'the kernel would find no next hop');
  const { services } = await first.engine.report();
  t.same(
    services.map(({ id, destinations }) => [id, destinations.length]),
    [[tcp80, 3]],
  );
  const flags = map('servers', (map) =>
    [...map.entries()]
      .filter(([, value]) => value.readUInt8(Server.family) === 4)
      .map(([, value]) => [
        value.subarray(Server.address, Server.address + 4).join('.'),
        value.subarray(Server.source, Server.source + 4).join('.'),
        value.readUInt32LE(Server.flags),
      ])
      .sort(),
  );
  t.same(flags, [
    ['10.2.0.11', '10.2.0.1', 0],
    ['10.2.0.12', '10.2.0.1', 0],
    ['127.0.0.1', '127.0.0.1', ServerFlag.local | ServerFlag.loopback],
  ]);
  t.ok(map('own_addresses', (map) => map.lookup(key('10.1.0.100'))));
  ip('address add 10.1.0.101/24 dev front');
  await waitFor('the address to be known', 5, () =>
    map('own_addresses', (map) => map.lookup(key('10.1.0.101')) !== undefined),
  );
  t.equal(await first.engine.stop(), 0, 'no connection is closed');
  t.match(said.join('\n'), '1 services stay');
  t.ok(attached() >= 5, 'it goes on without a daemon');

  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  ip('address del 10.1.0.101/24 dev front');
  const second = await start({ connections: 8192 });
  t.same(second.found, adopted, 'and the next daemon finds it');
  t.match(second.lines, /--connections 8192: the table in the kernel has room for 4096/);
  t.notOk(
    map('own_addresses', (map) => map.lookup(key('10.1.0.101'))),
    'what changed meanwhile is seen',
  );
  second.engine.apply({
    verb: 'delete-destination',
    service: tcp80,
    destination: destination('127.0.0.1').id,
  });
  await second.engine.stop();

  const other = new Pins('default', '0-00000000', root);
  renameSync(join(pins.directory, '..'), join(other.directory, '..'));
  pretend(other.map('settings'), 5);
  const third = await start();
  t.equal(third.found, undefined, 'a table of another layout is none');
  t.match(third.lines, 'another version of directord cannot be gone on with: its connections (5) are lost');
  t.notOk(other.exist);
  const count = attached();
  for (const verb of table) third.engine.apply(verb);
  await third.engine.stop();
  t.equal(attached(), count, 'forwarded by the new one alone');

  removeEbpf('abcdef01', events);
  t.same([attached(), acceptLocal()], [count, '1'], "another daemon's is not ours to end");
  removeEbpf('default', events);
  t.match(said.at(-1), 'forwarded here without a daemon');
  t.same([attached(), acceptLocal()], [0, '0']);

  const fourth = await start({ connections: 8192 });
  await t.rejects(start({ object: '/nowhere' }), /nowhere/);
  t.equal(attached(), count, 'what runs is not disturbed by one that cannot start');
  fourth.engine.apply({ verb: 'flush' });
  await fourth.engine.stop();
  t.same(
    [attached(), existsSync(join(root, 'directord'))],
    [0, false],
    'with an empty table everything goes',
  );
  t.throws(() => createEbpf(events, { ...options, sysctls: ['no=1'] }), /there is no such setting/);
  netlink.close();
});
