/** Verbs become what the maps of the BPF programs hold, in the kernel's own maps; packets are none of this file's business. */
import fc from 'fast-check';
import { join } from 'node:path';
import t from 'tap';
import { Director } from '../../../src/director/director.ts';
import type { ServiceId } from '../../../src/director/table.ts';
import { defaultTimeouts, ipipTunnel } from '../../../src/director/table.ts';
import type { Verb } from '../../../src/director/verbs.ts';
import { DirectorError } from '../../../src/director/verbs.ts';
import { Endpoint, Rules, Server, Settings } from '../../../src/engines/ebpf/layout.ts';
import type { LoadedDirector } from '../../../src/engines/ebpf/program.ts';
import { SlotTables } from '../../../src/engines/ebpf/slot-tables.ts';
import { bucketCounts, defaultSizes, memoryNeeded } from '../../../src/engines/ebpf/table-sizes.ts';
import { secondsOf } from '../../../src/engines/ebpf/ticks.ts';
import { unpackReport } from '../../../src/engines/packed-report.ts';
import { defaultVsSettings } from '../../../src/engines/vs-settings.ts';
import { BpfMap } from '../../../src/platform/bpf/bpf-map.ts';
import { makePinDirectory } from '../../../src/platform/bpf/bpffs.ts';
import { ownBpffs, skip } from '../../platform/bpf/lab.ts';
import { masq, roundRobin, tcp80 } from '../../support/table.ts';
import { add, addService, lab, load, mark, one, remove, sizes, tableOver, two, web6 } from './lab.ts';

/** A hash of endpoints in readable form: `tcp 0a010064:80` -> number. */
function endpoints(map: BpfMap): Record<string, number> {
  const names = Array.from(map.entries(), ([key, value]) => {
    const family = key.readUInt8(Endpoint.family);
    const protocol = { 0: 'mark', 6: 'tcp', 17: 'udp' }[key.readUInt8(Endpoint.protocol)] ?? '?';
    const address = key.toString('hex', 0, family === 4 ? 4 : 16);
    return [`${protocol} ${address}:${key.readUInt16BE(Endpoint.port)}`, value.readUInt32LE()] as const;
  });
  return Object.fromEntries(names.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function counts(director: LoadedDirector) {
  const view = new DataView(director.view('settings'));
  const at = (offset: number): number => view.getUint32(offset, true);
  return {
    services4: at(Settings.services4),
    services6: at(Settings.services6),
    marks: at(Settings.marks),
    ftp: at(Settings.ftp),
    everyPort: at(Settings.everyPort),
    engines: at(Settings.engines),
  };
}

const nothing = { services4: 0, services6: 0, marks: 0, ftp: 0, everyPort: 0, engines: 0 };

t.test('services are where programs look for them', { skip }, (t) => {
  const { director, table } = lab();
  const ftp: ServiceId = { ...tcp80, port: 21 };
  const everyPort: ServiceId = { ...tcp80, port: 0 };
  table.apply([
    addService(tcp80),
    addService(web6, { persistence: 300, netmask: 60, onePacket: true, persistenceEngine: 'sip' }),
    addService(mark, { persistence: 60, netmask: 0xffffff00 }),
    addService(ftp, { persistence: 1 }),
    addService(everyPort, { persistence: 1 }),
  ]);
  t.same(endpoints(director.map('endpoints')), {
    'mark 07000080:0': 2,
    'tcp 0a010064:0': 4,
    'tcp 0a010064:21': 3,
    'tcp 0a010064:80': 0,
    'udp 20010db8000100000000000000000100:53': 1,
  });
  t.same(counts(director), { services4: 4, services6: 1, marks: 1, ftp: 1, everyPort: 1, engines: 1 });
  const rules = Buffer.from(director.view('rules'));
  t.equal(rules.toString('hex', Rules.address, 4), '0a010064');
  t.equal(rules.readUInt16LE(Rules.port), 80);
  t.same([rules[Rules.protocol], rules[Rules.family]], [6, 4]);
  const sip = rules.subarray(Rules.bytes);
  t.equal(sip.toString('hex', Rules.address, Rules.address + 16), '20010db8000100000000000000000100');
  t.equal(sip.toString('hex', Rules.netmask, Rules.netmask + 16), 'fffffffffffffff00000000000000000');
  t.equal(Math.round(secondsOf(sip.readUInt32LE(Rules.persistence))), 300);
  t.equal(sip.readUInt32LE(Rules.flags), 1 | 4);
  const marked = rules.subarray(2 * Rules.bytes);
  t.same([marked.readUInt32LE(Rules.mark), marked[Rules.protocol], marked[Rules.family]], [mark.mark, 0, 4]);
  t.equal(marked.toString('hex', Rules.netmask, Rules.netmask + 4), 'ffffff00');
  t.equal(marked.readUInt32LE(Rules.flags), 2, 'covers every port');

  table.apply([
    { verb: 'edit-service', service: web6, settings: { ...roundRobin, netmask: 128 } },
    { verb: 'delete-service', service: mark },
    { verb: 'delete-service', service: ftp },
  ]);
  t.equal(sip.readUInt32LE(Rules.flags), 0);
  t.equal(sip.toString('hex', Rules.netmask, Rules.netmask + 16), 'f'.repeat(32));
  t.same(Object.values(endpoints(director.map('endpoints'))), [4, 0, 1]);
  t.same(counts(director), { ...nothing, services4: 2, services6: 1, everyPort: 1 });
  table.apply([{ verb: 'flush' }]);
  t.same([endpoints(director.map('endpoints')), counts(director)], [{}, nothing]);
  t.end();
});

t.test(
  'NAT servers of calls are known by where they send from, the newest of those that share an endpoint',
  { skip },
  (t) => {
    const { director, table } = lab();
    const sip = { persistenceEngine: 'sip', persistence: 60 };
    const other: ServiceId = { kind: 'address', protocol: 'udp', address: '2001:db8:1::100', port: 5060 };
    const server = { address: '2001:db8:2::11', port: 53 };
    const name = 'udp 20010db8000200000000000000000011:53';
    const beginners = () => endpoints(director.map('beginners'));
    table.apply([addService(web6), add(web6, server), addService(other, sip), add(other, server)]);
    t.same(beginners(), { [name]: 1 });
    table.apply([{ verb: 'edit-service', service: web6, settings: { ...roundRobin, ...sip } }]);
    t.same(beginners(), { [name]: 0 });
    tableOver(director);
    t.same(beginners(), { [name]: 1 }, 'the next daemon');
    table.apply([remove(other, server)]);
    t.same(beginners(), { [name]: 0 });
    const { address, port } = server;
    const settings = { ...masq, forwarding: 'gate' } as const;
    table.apply([{ verb: 'edit-destination', service: web6, destination: { address, port }, settings }]);
    t.same(beginners(), {});
    table.apply([
      { verb: 'edit-destination', service: web6, destination: { address, port }, settings: masq },
    ]);
    t.same(beginners(), { [name]: 0 });
    table.apply([
      { verb: 'edit-service', service: web6, settings: { ...roundRobin, ...sip, proxyProtocol: 'v1' } },
    ]);
    t.same(beginners(), {}, 'of a service that is refused');
    table.apply([{ verb: 'edit-service', service: web6, settings: { ...roundRobin, ...sip } }]);
    t.same(beginners(), { [name]: 0 });
    table.apply([{ verb: 'delete-service', service: web6 }]);
    t.same(beginners(), {});
    t.end();
  },
);

t.test('no packet finds a service that the engine refuses', { skip }, (t) => {
  const { director, table } = lab();
  table.apply([
    addService({ ...tcp80, protocol: 'sctp' }),
    addService(tcp80, { proxyProtocol: 'v1' }),
    add(tcp80, one),
  ]);
  t.same([endpoints(director.map('endpoints')), counts(director)], [{}, nothing]);
  table.apply([{ verb: 'edit-service', service: tcp80, settings: roundRobin }]);
  t.same(endpoints(director.map('endpoints')), { 'tcp 0a010064:80': 1 });
  table.apply([{ verb: 'edit-service', service: tcp80, settings: { ...roundRobin, proxyProtocol: 'v2' } }]);
  t.same([endpoints(director.map('endpoints')), counts(director)], [{}, nothing]);
  t.end();
});

t.test('destinations are where programs look for them', { skip }, (t) => {
  const { director, table, pool } = lab();
  const gue = { forwarding: 'ipip', tunnel: { type: 'gue', port: 6080, checksum: 'remcsum' } } as const;
  table.apply([
    ...[addService(tcp80), addService(mark), addService(web6)],
    ...[add(tcp80, one, { weight: 3 }), add(mark, one, { forwarding: 'gate' })],
    add(web6, { address: '2001:db8:2::11', port: 0 }, gue),
  ]);
  t.same(endpoints(director.map('real_endpoints')), {
    'tcp 0a02000b:8080': 2,
    'udp 0a02000b:8080': 1,
    'udp 20010db8000200000000000000000011:0': 1,
  });
  const servers = Buffer.from(director.view('servers'));
  t.equal(servers.toString('hex', Server.address, 4), '0a02000b');
  t.equal(servers.readUInt16LE(Server.port), 8080);
  t.same([servers[Server.family], servers[Server.method], servers[Server.bytes + Server.method]], [4, 0, 3]);
  const tunnel = servers.subarray(2 * Server.bytes);
  t.same(
    [Server.family, Server.method, Server.tunnel, Server.tunnelChecksum].map((at) => tunnel[at]),
    [6, 2, 1, 2],
  );
  t.equal(tunnel.readUInt16LE(Server.tunnelPort), 6080);
  t.equal(pool.weight(0), 3);

  servers.writeUInt32LE(1300, Server.pathMtu);
  table.apply([
    { verb: 'edit-destination', service: tcp80, destination: one, settings: { ...masq, weight: 0 } },
  ]);
  t.equal(servers.readUInt32LE(Server.pathMtu), 1300, 'what the programs have learned stays');
  table.apply([remove(tcp80, one), { verb: 'delete-service', service: mark }]);
  t.same(Object.keys(endpoints(director.map('real_endpoints'))), ['udp 20010db8000200000000000000000011:0']);
  const many = Array.from({ length: sizes.destinations - 1 }, (_, i) => ({
    address: '10.2.0.13',
    port: i + 1,
  }));
  table.apply(many.map((each) => add(tcp80, each)));
  t.equal(servers.readUInt32LE(Server.pathMtu), 0, 'the next server in that slot has learned nothing');
  t.end();
});

t.test('a table that is full says so', { skip }, (t) => {
  const { table, problems } = lab();
  table.apply(Array.from({ length: sizes.services + 1 }, (_, i) => addService({ ...tcp80, port: i + 1 })));
  t.same(problems, [
    `the ebpf engine holds at most ${sizes.services} services; no traffic for tcp:10.1.0.100:17`,
  ]);
  t.end();
});

t.test('sh, dh and mh have their slot tables, each changed as a whole', { skip }, (t) => {
  const { director, table, pool } = lab();
  const present = (): number[] =>
    [...director.map('slot_tables').keys()].map((key) => key.readUInt32LE()).sort();
  table.apply([
    ...[addService(tcp80, { scheduler: 'sh' }), addService(web6, { scheduler: 'mh' }), addService(mark)],
    ...[add(tcp80, one, { weight: 3 }), add(tcp80, two), add(web6, { address: '2001:db8:2::11', port: 0 })],
  ]);
  t.same(present(), [0, 1]);
  let inner = new Uint32Array();
  const slotTables = new SlotTables(
    {
      update: (_: Uint8Array, fd: Uint8Array) => {
        const map = new BpfMap(Buffer.from(fd).readUInt32LE(), false);
        t.equal(map.maxEntries, 4096);
        inner = Uint32Array.from(map.entries(), ([, value]) => value.readUInt32LE());
        return true;
      },
      delete: () => t.fail('nothing is to be deleted'),
      keys: () => director.map('slot_tables').keys(),
    },
    pool,
  );
  slotTables.refresh(0);
  t.same([...inner.subarray(0, 9)], [2, 1, 1, 1, 2, 1, 1, 1, 2], 'the newest first, by weight');
  t.same([inner[255], inner[256]], [1, 0]);
  slotTables.refresh(1);
  t.same([inner[0], inner[4092], inner[4093]], [3, 3, 0]);
  table.apply([
    { verb: 'edit-service', service: web6, settings: { ...roundRobin, netmask: 128, scheduler: 'dh' } },
  ]);
  t.same(present(), [0, 1]);
  table.apply([{ verb: 'edit-service', service: web6, settings: { ...roundRobin, netmask: 128 } }]);
  t.same(present(), [0]);
  table.apply([{ verb: 'delete-service', service: tcp80 }]);
  t.same(present(), []);
  t.end();
});

t.test('timeouts and knobs are in ticks and numbers, and outlive the daemon', { skip }, (t) => {
  const { director, table } = lab();
  const seconds = (at: number): number =>
    secondsOf(new DataView(director.view('settings')).getUint32(at, true));
  t.ok(Math.abs(seconds(Settings.tcpTimeouts + 4) - 900) < 0.001);
  t.ok(Math.abs(seconds(Settings.newTcpTimeout) - 3) < 0.001);
  t.same(table.adopt(), { services: [], timeouts: defaultTimeouts });
  table.apply([{ verb: 'set-timeouts', timeouts: { tcp: 7200, tcpFin: 0, udp: 10 } }]);
  t.ok(Math.abs(seconds(Settings.udpTimeout) - 10) < 0.001);
  t.same(tableOver(director).adopt().timeouts, { tcp: 7200, tcpFin: 120, udp: 10 });
  table.apply([{ verb: 'set-timeouts', timeouts: { tcp: 2 ** 31, tcpFin: 0, udp: 0 } }]);
  t.ok(seconds(Settings.tcpTimeouts + 4) > 25 * 86_400, 'as long as ticks can tell');
  table.setSettings({ ...defaultVsSettings, am_droprate: 7, conn_reuse_mode: 0 });
  const view = new DataView(director.view('settings'));
  t.same([view.getUint32(Settings.amDroprate, true), view.getUint32(Settings.connReuseMode, true)], [7, 0]);
  t.end();
});

// ---- the next daemon

const ids: readonly ServiceId[] = [
  ...[tcp80, web6, mark, { ...mark, family: 'inet6' }, { ...tcp80, port: 0 }, { ...tcp80, port: 21 }],
  ...[
    { ...tcp80, protocol: 'udp' },
    { ...tcp80, protocol: 'sctp' },
  ],
] as const;
const destinationIds = ['10.2.0.11', '10.2.0.12', '2001:db8:2::11'].flatMap((address) =>
  [0, 80].map((port) => ({ address, port })),
);

const anyService = fc.record({
  scheduler: fc.constantFrom('rr', 'wlc', 'sh', 'mh', 'none'),
  schedulerFlags: fc.integer({ min: 0, max: 7 }),
  persistence: fc.constantFrom(0, 1, 300, 2 ** 31),
  netmask: fc.constantFrom(0xffffffff, 0xffffff00, 128, 64),
  persistenceEngine: fc.constantFrom('', 'sip'),
  onePacket: fc.boolean(),
  proxyProtocol: fc.constantFrom('none', 'v1', 'v2'),
} as const);
const anyDestination = fc.record({
  forwarding: fc.constantFrom('masq', 'gate', 'ipip', 'local'),
  weight: fc.constantFrom(0, 1, 100, 2 ** 31 - 1),
  upperThreshold: fc.constantFrom(0, 10, 2 ** 32 - 1),
  lowerThreshold: fc.constantFrom(0, 5),
  tunnel: fc.constantFrom(
    ipipTunnel,
    { type: 'gue', port: 6080, checksum: 'csum' } as const,
    { type: 'gre', port: 0, checksum: 'remcsum' } as const,
  ),
} as const);
const anyId = fc.constantFrom(...ids);
const anyDestinationId = fc.constantFrom(...destinationIds);
const anyVerb: fc.Arbitrary<Verb> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ verb: fc.constant('add-service'), service: anyId, settings: anyService }),
  },
  fc.record({ verb: fc.constant('edit-service'), service: anyId, settings: anyService }),
  fc.record({ verb: fc.constant('delete-service'), service: anyId }),
  {
    weight: 6,
    arbitrary: fc.record({
      verb: fc.constant('add-destination'),
      service: anyId,
      destination: anyDestinationId,
      settings: anyDestination,
    }),
  },
  fc.record({
    verb: fc.constant('edit-destination'),
    service: anyId,
    destination: anyDestinationId,
    settings: anyDestination,
  }),
  fc.record({ verb: fc.constant('delete-destination'), service: anyId, destination: anyDestinationId }),
);

function isRefused(director: Director, verb: Verb): boolean {
  try {
    director.apply(verb, 'test');
    return false;
  } catch (error) {
    if (error instanceof DirectorError) return true;
    throw error;
  }
}

t.test('the next daemon finds the table that the last one made, and what follows from it', { skip }, (t) => {
  const { director } = lab();
  let table = tableOver(director);
  fc.assert(
    fc.property(fc.array(fc.array(anyVerb, { maxLength: 12 }), { maxLength: 4 }), (lives) => {
      table.apply([{ verb: 'flush' }]);
      const applied: Verb[] = [];
      const truth = new Director({ applied: (verb) => applied.push(verb) });
      for (const verbs of lives) {
        const accepted = verbs.filter((verb) => !isRefused(truth, verb));
        table.apply(accepted);
        const before = [
          counts(director),
          endpoints(director.map('endpoints')),
          endpoints(director.map('real_endpoints')),
        ];
        table = tableOver(director);
        t.same(table.services(), truth.services());
        t.same(
          [counts(director), endpoints(director.map('endpoints')), endpoints(director.map('real_endpoints'))],
          before,
        );
      }
      table.apply([{ verb: 'flush' }]);
      t.same([counts(director), endpoints(director.map('real_endpoints'))], [nothing, {}]);
      return t.passing();
    }),
    { numRuns: 60 },
  );
  t.end();
});

t.test('a deleted server with connections is known to the next daemon', { skip }, (t) => {
  const { director, table, pool } = lab();
  table.apply([addService(web6), addService(tcp80), add(tcp80, one), add(tcp80, two)]);
  pool.addActive(0, 1);
  pool.addInactive(1, 1);
  table.apply([remove(tcp80, one), { verb: 'delete-service', service: tcp80 }, addService(tcp80)]);
  const next = tableOver(director);
  next.apply([add(tcp80, two), add(tcp80, one), add(web6, { address: '2001:db8:2::11', port: 0 })]);
  const [, service] = unpackReport(next.report()).services;
  t.same(
    service?.destinations.map(({ id, active, inactive }) => [id.address, active, inactive]),
    [
      ['10.2.0.12', 0, 1],
      ['10.2.0.11', 1, 0],
    ],
  );
  t.end();
});

t.test('what a daemon had not finished when it died is put right', { skip }, (t) => {
  const { director, table, pool } = lab();
  table.apply([addService(tcp80, { scheduler: 'sh' }), add(tcp80, one), add(tcp80, two), addService(web6)]);
  const expected = table.services();
  const words = new Int32Array(director.pool);
  const real = endpoints(director.map('real_endpoints'));
  pool.lock();
  // a service without its rules, a destination without its record, and one that is on no list
  const half = pool.addService(1, 0);
  pool.addDestination(half, '10.2.0.13', 80);
  pool.addDestination(0, '10.2.0.14', 80);
  const lost = pool.addDestination(0, '10.2.0.15', 80);
  words[16] = pool.next(lost) + 1;
  for (const name of ['endpoints', 'real_endpoints'] as const) {
    const map = director.map(name);
    const [key = Buffer.alloc(0)] = map.keys();
    map.delete(key);
    key[0] = 99;
    map.update(key, Buffer.alloc(4));
  }
  director.map('slot_tables').delete(Buffer.alloc(4));
  const next = tableOver(director);
  t.same(next.services(), expected);
  t.same(Object.keys(endpoints(director.map('endpoints'))), [
    'tcp 0a010064:80',
    'udp 20010db8000100000000000000000100:53',
  ]);
  t.same(endpoints(director.map('real_endpoints')), real);
  t.same([...director.map('slot_tables').keys()].length, 1);
  t.same([pool.count(0), pool.available(lost), pool.isService(half)], [2, false, false]);
  next.apply([remove(tcp80, one), remove(tcp80, two)]);
  t.equal(pool.count(0), 0, 'nobody holds the lock');
  t.end();
});

t.test('pinned maps are gone on with, and hash as they did', { skip }, (t) => {
  const pins = join(ownBpffs(), 'table');
  makePinDirectory(pins);
  const first = load(pins);
  tableOver(first).apply([addService(tcp80), add(tcp80, one)]);
  const seed = (director: LoadedDirector) =>
    Buffer.from(director.view('settings')).readBigUInt64LE(Settings.seed);
  t.not(seed(first), 0n);
  const expected = seed(first);
  first.close();
  const second = load(pins);
  t.equal(seed(second), expected);
  t.equal(
    second
      .map('.rodata')
      .lookup(Buffer.alloc(4))
      ?.includes(Buffer.from(BigUint64Array.of(expected).buffer)),
    true,
  );
  t.match(tableOver(second).services(), [{ id: tcp80, destinations: [{ id: one }] }]);
  second.close();
  t.end();
});

t.test('room and memory', (t) => {
  const { flows4, flows6, templates4 } = bucketCounts(defaultSizes);
  t.ok(
    flows4 * 4 >= 2 * 2 * defaultSizes.connections[4],
    'a connection of NAT takes two slots, and half of them stay empty',
  );
  t.same([flows4, flows6, templates4], [262_144, 65_536, 32_768]);
  const mebibytes = memoryNeeded(defaultSizes, 2) / 2 ** 20;
  t.ok(mebibytes > 132 && mebibytes < 165, `${mebibytes} MiB`);
  t.end();
});
