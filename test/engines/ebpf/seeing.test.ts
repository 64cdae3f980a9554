/** `directord capture` and `directord simulate` against the real programs, in a network and a BPF file system of this process. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { CaptureCommand } from '../../../src/cli/seeing-commands.ts';
import { parseCapture, parseSimulate } from '../../../src/cli/seeing-commands.ts';
import { capture } from '../../../src/daemon/seeing/capture.ts';
import { simulate } from '../../../src/daemon/seeing/simulate.ts';
import type { DestinationSettings, ServiceSettings } from '../../../src/director/table.ts';
import type { Verb } from '../../../src/director/verbs.ts';
import { tellTime } from '../../../src/engines/ebpf/clock.ts';
import { Capturing } from '../../../src/engines/ebpf/capturing.ts';
import { readFill } from '../../../src/engines/ebpf/fill.ts';
import { createEbpf } from '../../../src/engines/ebpf/ebpf.ts';
import { Capturing as Asked, Settings } from '../../../src/engines/ebpf/layout.ts';
import { Pins } from '../../../src/engines/ebpf/pins.ts';
import { ticksOf } from '../../../src/engines/ebpf/ticks.ts';
import type { Engine } from '../../../src/engines/engine.ts';
import { BpfMap } from '../../../src/platform/bpf/bpf-map.ts';
import type { Link } from '../../../src/platform/netlink.ts';
import { Netlink } from '../../../src/platform/netlink.ts';
import { enterOwnNetwork, ip, wire } from '../../platform/own-network.ts';
import { ownBpffs, skip } from '../../platform/bpf/lab.ts';
import { FrameSender } from '../../support/frame-sender.ts';
import { masq, roundRobin, tcp80 } from '../../support/table.ts';
import { waitFor } from '../../support/until.ts';

const compiled = process.env['DIRECTORD_BPF_OBJECT'];
const object = compiled ?? join(t.testdir(), 'directord.bpf.o');
const user = { uid: 0, env: {} };
const quiet = { info: () => undefined, problem: () => undefined };

const front = '02:00:00:00:01:01';
const Flag = { syn: 2, ack: 16 } as const;
const router = '02:00:00:00:01:fe';

/** The director's two interfaces, with permanent neighbours, and a route back to clients behind a router. */
function place(): void {
  enterOwnNetwork();
  wire('front', 'client');
  wire('back', 'servers');
  ip(`link set front address ${front}`);
  ip('link set back address 02:00:00:00:02:01');
  ip('address add 10.1.0.1/24 dev front');
  ip('address add 10.2.0.1/24 dev back');
  ip('address add 10.1.0.100/32 dev lo');
  ip(`neigh add 10.1.0.254 lladdr ${router} dev front nud permanent`);
  ip('neigh add 10.2.0.11 lladdr 02:00:00:00:02:11 dev back nud permanent');
  ip('route add default via 10.1.0.254');
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
}

function service(changes: Partial<ServiceSettings> = {}, port = 80): Verb {
  return { verb: 'add-service', service: { ...tcp80, port }, settings: { ...roundRobin, ...changes } };
}

function server(address: string, changes: Partial<DestinationSettings> = {}, port = 80): Verb {
  const to = { ...tcp80, port };
  return {
    verb: 'add-destination',
    service: to,
    destination: { address, port: 8080 },
    settings: { ...masq, ...changes },
  };
}

async function apply(engine: Engine, ...verbs: readonly Verb[]): Promise<void> {
  for (const verb of verbs) engine.apply(verb);
  await engine.settled();
}

function ask(...words: readonly string[]): { code: number; out: string } {
  const command = parseSimulate(words, undefined);
  if (command.kind !== 'simulate') throw new Error(JSON.stringify(command));
  let out = '';
  const code = simulate(command, { out: (text) => (out += text) }, user);
  return { code, out };
}

/** A TCP segment of a client, without payload. */
function segment(sender: FrameSender, port: number, flags: number): void {
  const frame = Buffer.alloc(54);
  frame.set([...front.split(':'), ...router.split(':')].map((byte) => Number.parseInt(byte, 16)));
  frame.write('08004500002800000000400600000a0900070a010064', 12, 'hex');
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += frame.readUInt16BE(at);
  frame.writeUInt16BE(~((sum & 0xffff) + (sum >> 16)) & 0xffff, 24);
  frame.writeUInt16BE(port, 34);
  frame.writeUInt16BE(80, 36);
  frame.writeUInt8(0x50, 46);
  frame.writeUInt8(flags, 47);
  sender.frame(0).set(frame);
  sender.send(0, 1);
}

/** What a packet could change: not the time. */
function memory(pins: Pins): Buffer[] {
  return ['pool', 'settings', 'templates4', 'halves4', 'flows4', 'servers'].map((name) => {
    const map = BpfMap.openPinned(pins.map(name));
    const copy = Buffer.from(map.view().slice(0));
    map.close();
    if (name === 'settings') tellTime(new DataView(copy.buffer, copy.byteOffset), 0);
    return copy;
  });
}

function links(): readonly Link[] {
  const netlink = new Netlink();
  const found = netlink.links();
  netlink.close();
  return found;
}

/** Runs the command. */
function startCapture(...words: readonly string[]) {
  const command = parseCapture(words, undefined);
  const chunks: Uint8Array[] = [];
  const end = new AbortController();
  const state = { said: '', open: true };
  const done = capture(command as CaptureCommand, {
    streams: { err: (text) => (state.said += text) },
    user,
    output: { write: (bytes) => chunks.push(bytes), isOpen: () => state.open },
    end: end.signal,
  });
  return { state, end, done, file: () => Buffer.concat(chunks) };
}

function tcpdump(file: Uint8Array, ...options: readonly string[]): string[] {
  const text = execFileSync('tcpdump', ['-n', '-e', '-t', ...options, '-r', '-'], {
    input: file,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  return text.split('\n').filter(Boolean);
}

void t.test('what the ebpf engine does can be seen', { skip }, async (t) => {
  if (compiled === undefined)
    execFileSync(fileURLToPath(new URL('../../../packaging/compile-bpf', import.meta.url)), [object]);
  place();
  process.env['DIRECTORD_BPFFS'] = ownBpffs();
  t.throws(() => ask('tcp', '10.9.0.7:1', '10.1.0.100:80'), /no ebpf engine in the kernel .* --engine ebpf/);
  const engine = createEbpf(quiet, {
    instance: 'default',
    attach: 'xdp',
    connections: 4096,
    sysctls: [],
    object,
  });
  await engine.start();
  const pins = new Pins('default');
  const settings = BpfMap.openPinned(pins.map('settings'));
  const words = new DataView(settings.view());
  const asked = BpfMap.openPinned(pins.map('capturing'));
  const lease = new DataView(asked.view());
  const sender = new FrameSender('client', 1, 54);
  t.teardown(async () => {
    for (const map of [settings, asked]) map.close();
    await apply(engine, { verb: 'flush' });
    await engine.stop();
  });
  await apply(engine, service(), server('10.2.0.11'), server('10.2.0.12'));

  await t.test('simulate says what would be done, and does nothing', async (t) => {
    const client = '10.9.0.7:40000';
    const syn = ['tcp', client, '10.1.0.100:80'];
    const lines = [
      'TCP 10.9.0.7:40000 -> 10.1.0.100:80 SYN, in by front',
      'new connection of tcp:10.1.0.100:80',
      'to 10.2.0.12:8080 (Masq, weight 1, 0 active, 0 inactive), by scheduler rr',
      'out by back, next hop 10.2.0.12 hardware address not known yet, MTU 1500',
    ];
    const before = memory(pins);
    for (let time = 0; time < 3; time++) t.same(ask(...syn), { code: 0, out: `${lines.join('\n  ')}\n` });
    t.same(memory(pins), before, 'neither the table nor the schedulers have changed');
    t.match(JSON.parse(ask(...syn, '--json').out), {
      outcome: 'new',
      service: 'tcp:10.1.0.100:80',
      destination: { server: '10.2.0.12:8080', forwarding: 'Masq' },
      way: { kind: 'hop', interface: 'back', mac: null, mtu: 1500 },
    });

    t.match(ask(...syn, '--flags', 'A'), {
      code: 1,
      out: /not forwarded: it belongs to no connection, and opens none/,
    });
    t.match(ask('tcp', client, '10.1.0.100:81').out, /not forwarded: no virtual service/);
    t.match(
      ask('tcp', '127.0.0.1:5', '10.1.0.100:80', '--interface', 'front').out,
      /dropped: from an address/,
    );
    t.match(
      ask('tcp', '10.2.0.1:5', '10.1.0.100:80', '--interface', 'lo').out,
      /new connection/,
      'a program here',
    );
    t.throws(() => ask(...syn, '--interface', 'nowhere'), /there is no interface nowhere/);

    const lblc = service({ scheduler: 'lblcr', persistence: 300 }, 81);
    await apply(engine, lblc, server('10.2.0.11', {}, 81), server('10.2.0.12', { weight: 0 }, 81));
    const unremembered = memory(pins);
    t.match(
      ask('tcp', client, '10.1.0.100:81').out,
      /to 10\.2\.0\.11:8080 .*by scheduler lblcr\n.* at 02:00:00:00:02:11/,
    );
    t.same(memory(pins), unremembered, 'lblcr remembers nobody for it');
    await apply(engine, service({}, 82), server('10.2.0.11', { weight: 0 }, 82));
    t.match(ask('tcp', client, '10.1.0.100:82'), {
      code: 1,
      out: /refused, .* no server of tcp:10\.1\.0\.100:82 takes connections\n {2}of 1 servers 1 have weight 0, 0 are overloaded/,
    });
    await apply(
      engine,
      service({}, 83),
      server('192.0.2.1', {}, 83),
      service({}, 84),
      server('127.0.0.1', {}, 84),
    );
    ip('route add prohibit 192.0.2.1/32');
    t.match(ask('tcp', client, '10.1.0.100:83'), { code: 1, out: /but there is no way: a prohibit route/ });
    t.match(ask('tcp', client, '10.1.0.100:84').out, /dropped: to a loopback address/);
    const tunnel = { type: 'gre', port: 0, checksum: 'csum' } as const;
    await apply(engine, service({}, 85), server('10.2.0.11', { forwarding: 'ipip', tunnel }, 85));
    t.match(
      ask('tcp', client, '10.1.0.100:85').out,
      /MTU 1500\n {2}the tunnel's headers take 28 bytes: longer packets than 1472 do not fit/,
    );
    t.match(JSON.parse(ask('tcp', client, '10.1.0.100:85', '--json').out), {
      way: { mtu: 1500, room: 1472 },
    });
  });

  await t.test('simulate says what it cannot know, and what comes down to chance', async (t) => {
    const udp = { ...tcp80, protocol: 'udp', port: 5060 } as const;
    const settings = { ...roundRobin, persistence: 60, persistenceEngine: 'sip', onePacket: true };
    await apply(engine, { verb: 'add-service', service: udp, settings });
    const invite = ['udp', '10.9.0.7:5060', '10.1.0.100:5060'];
    t.match(ask(...invite), {
      code: 1,
      out: /cannot be told: .* udp:10\.1\.0\.100:5060 goes by the Call-ID/,
    });
    t.match(JSON.parse(ask(...invite, '--json').out), { outcome: 'unknown', service: 'udp:10.1.0.100:5060' });

    const syn = ['tcp', '10.9.0.7:40000', '10.1.0.100:80'];
    words.setUint32(Settings.dropPacket, 3, true);
    words.setInt32(Settings.untilDrop, 4, true);
    t.match(ask(...syn), {
      code: 0,
      out: /drop_packet drops one new connection of 10, next number 4 from this/,
    });
    words.setInt32(Settings.untilDrop, 1, true);
    t.match(ask(...syn), {
      code: 1,
      out: /dropped: drop_packet drops one new .* is the one; else\n {2}new conn/,
    });
    t.match(JSON.parse(ask(...syn, '--json').out), { outcome: 'drop', dropPacket: { rate: 10, next: 1 } });
    words.setUint32(Settings.dropPacket, 0, true);
  });

  await t.test(
    'capture tells of every packet once, as it came, and of connections that simulate knows then',
    async (t) => {
      const first = startCapture('front', '--count', '3');
      await waitFor('the request', 5, () => words.getUint32(Settings.capture, true) === 1);
      const second = new Promise((resolve) => {
        resolve(new Capturing(pins));
      });
      await t.rejects(second, /process \d+ is capturing already/);
      for (const flags of [Flag.syn, Flag.ack, Flag.ack]) segment(sender, 40000, flags);
      t.equal(await first.done, 0);
      t.match(
        first.state.said,
        /every packet of front, as they come, as pcap on stdout; 3 in all\n.* 3 packets captured\n/,
      );
      const from = '02:00:00:00:01:fe > 02:00:00:00:01:01, ethertype IPv4 (0x0800), length 54:';
      const ends = '10.9.0.7.40000 > 10.1.0.100.80:';
      t.same(
        tcpdump(first.file(), '-S').map((line) => line.replace(/, (seq|ack|win).*/, '')),
        ['[S]', '[.]', '[.]'].map((flags) => `${from} ${ends} Flags ${flags}`),
      );
      const today = execFileSync('tcpdump', ['-tttt', '-n', '-r', '-'], {
        input: first.file(),
        encoding: 'utf8',
      });
      t.equal(today.slice(0, 4), String(new Date().getFullYear()), 'by the time of day');
      t.equal(words.getUint32(Settings.capture, true), 0, 'nothing is sampled afterwards');

      const established = ask('tcp', '10.9.0.7:40000', '10.1.0.100:80', '--flags', 'A');
      t.match(established, {
        code: 0,
        out: /connection of tcp:10.1.0.100:80: ESTABLISHED, ends in 1[45]:\d\d without packets/,
      });
      const port = /to (10\.2\.0\.1\d):8080/.exec(established.out)?.[1] ?? '';
      const reply = ask('tcp', `${port}:8080`, '10.9.0.7:40000', '--flags', 'SA');
      t.match(reply, {
        code: 0,
        out: /, in by back\n.*goes on as from 10\.1\.0\.100:80\n.*next hop 10\.1\.0\.254 at 02:00:00:00:01:fe/s,
      });
    },
  );

  await t.test('capture afterwards, as pcapng, of what XDP has forwarded; sampled', async (t) => {
    await apply(engine, {
      verb: 'delete-destination',
      service: tcp80,
      destination: { address: '10.2.0.12', port: 8080 },
    });
    for (const flags of [Flag.syn, Flag.ack]) segment(sender, 40001, flags);
    const later = startCapture('front', '--ng', '--after', '--every', '3');
    await waitFor('the request', 5, () => words.getUint32(Settings.capture, true) === 3);
    for (let time = 0; time < 9; time++) segment(sender, 40001, Flag.ack);
    await waitFor('packets', 5, () => tcpdump(later.file()).length === 3);
    later.state.open = false;
    t.equal(await later.done, 0, 'it ends when nobody reads any more');
    const file = later.file();
    t.match(
      tcpdump(file)[2],
      /^02:00:00:00:02:01 > 02:00:00:00:02:11, .* 10\.9\.0\.7\.40001 > 10\.2\.0\.11\.8080:/,
    );
    t.ok(file.includes(Buffer.from('front')), 'names of interfaces');
    // option 7, 9 bytes: judged by XDP, redirected
    t.ok(file.includes(Buffer.of(7, 0, 9, 0, 2, 4, 0)), 'its verdict');
  });

  await t.test('a reader that was killed is not captured for', (t) => {
    const reader = new Capturing(pins);
    const front = links().find(({ name }) => name === 'front');
    reader.start({ every: 1, after: false, interfaces: [front?.index ?? 0] });
    segment(sender, 40002, Flag.syn);
    t.equal(
      reader.read(() => undefined),
      1,
    );
    lease.setUint32(Asked.until, words.getUint32(Settings.now, true) - ticksOf(1), true);
    segment(sender, 40002, Flag.syn);
    t.equal(
      reader.read(() => undefined),
      0,
    );
    t.equal(words.getUint32(Settings.capture, true), 0, 'the common path does not even ask any more');
    t.equal(reader.renew(), true);
    segment(sender, 40002, Flag.syn);
    t.equal(
      reader.read(() => undefined),
      1,
      'but one that was only slow goes on',
    );
    reader.close();
    t.end();
  });

  await t.test('how full the tables are, and what was dropped', async (t) => {
    const slots = 4 * 4096;
    await waitFor('the sweeper', 20, () => (readFill(pins).tables[1]?.used ?? 0) > 0);
    const { tables } = readFill(pins);
    t.match(tables[0], { family: 4, table: 'connections', slots, refused: 0, unpromoted: 0 });
    t.match(tables[4], { family: 6, table: 'half-open connections', slots: slots / 16 });
    t.same(engine.tables?.(), tables, 'the daemon says the same');
    t.same([...readFill(pins).drops.keys()], []);
  });
});
