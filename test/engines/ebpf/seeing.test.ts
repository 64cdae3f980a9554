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
import { Capturing } from '../../../src/engines/ebpf/capturing.ts';
import { createEbpf } from '../../../src/engines/ebpf/ebpf.ts';
import { Settings } from '../../../src/engines/ebpf/layout.ts';
import { Pins } from '../../../src/engines/ebpf/pins.ts';
import { ticksOf } from '../../../src/engines/ebpf/ticks.ts';
import type { Engine } from '../../../src/engines/engine.ts';
import { BpfMap } from '../../../src/platform/bpf/bpf-map.ts';
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
  t.throws(() => ask('tcp', '10.9.0.7:1', '10.1.0.100:80'), /no ebpf engine .* --engine ebpf/);
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
  const sender = new FrameSender('client', 1, 54);
  t.teardown(async () => {
    settings.close();
    await apply(engine, { verb: 'flush' });
    await engine.stop();
  });
  await apply(engine, service(), server('10.2.0.11'), server('10.2.0.12'));

  await t.test('simulate', async (t) => {
    const syn = ['tcp', '10.9.0.7:40000', '10.1.0.100:80'];
    console.error(ask(...syn).out, ask(...syn, '--json').out);
  });
  await t.test('capture', async (t) => {
    const first = startCapture('--count', '4');
    await waitFor('the request', 5, () => words.getUint32(Settings.capture, true) === 1);
    for (const flags of [2, 16, 16, 16]) segment(sender, 40000, flags);
    t.equal(await first.done, 0);
    console.error(first.state.said);
    console.error(tcpdump(first.file()));
    console.error(ask('tcp', '10.9.0.7:40000', '10.1.0.100:80').out);
    const ng = startCapture('--ng', '--after');
    await waitFor('the request', 5, () => words.getUint32(Settings.capture, true) === 1);
    for (const flags of [16, 16, 16, 16]) segment(sender, 40000, flags);
    await new Promise((r) => setTimeout(r, 200));
    ng.end.abort();
    t.equal(await ng.done, 0);
    writeFileSync('/tmp/seeing/x.pcapng', ng.file());
    console.error(tcpdump(ng.file()));
  });
});
