/**
 * `make bench-test-run`: nanoseconds that one packet takes in the programs of the ebpf engine, by BPF_PROG_TEST_RUN: no network card, no
 * interrupts, what making the packet takes is taken off. Medians of many short rounds, in which all rows take turns. In a network
 * namespace of its own; needs root and clang. In the environment: TEST_RUN_ROUNDS (31), and DIRECTORD_BPF_OBJECT for other programs than
 * the build's.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Netlink } from '../../src/platform/netlink.ts';
import { root } from '../../test/scenario/lab/paths.ts';
import { EbpfPlace, skip } from '../../test/support/ebpf-place.ts';
import { columns, save } from '../report.ts';
import { Harness, type Hook } from './harness.ts';
import { type Kind, type Method, Subject } from './subject.ts';

const rounds = Number(process.env['TEST_RUN_ROUNDS'] ?? 31);
const object = process.env['DIRECTORD_BPF_OBJECT'] ?? join(root, 'dist/engines/ebpf/directord.bpf.o');
const packets = 20_000;
const many = 2 ** 19;
/** Room for half-open connections, as it is unless somebody sets it: more than come in one round. */
const halfOpen = 65_536;
const few = 4096;

interface Row {
  readonly title: string;
  readonly hook: Hook;
  /** None: the floor. */
  readonly subject?: Subject;
  readonly kind: Kind;
  readonly clients: number;
  /** Nanoseconds at most, on a machine where the floor takes 5. */
  readonly aim?: number;
}

if (skip !== false) {
  process.stdout.write(`${skip}\n`);
  process.exitCode = 1;
} else {
  const folder = mkdtempSync(join(tmpdir(), 'directord-test-run-'));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function run(folder: string): Promise<void> {
  const place = new EbpfPlace();
  const netlink = new Netlink();
  const harness = new Harness(compile(folder));
  const subject = (method: Method, connections: number, half: number): Promise<Subject> =>
    Subject.create({ object, method, connections, halfOpen: half, place, netlink, harness });
  const [nat, direct] = [await subject('masq', many, halfOpen), await subject('gate', many, halfOpen)];
  const [newNat, newDirect] = [await subject('masq', many, halfOpen), await subject('gate', many, halfOpen)];
  const full = await subject('masq', few, few);
  for (const each of [nat, direct]) each.open(many);
  nat.open(1, 'udp');
  for (const each of [newNat, newDirect, full]) each.open(1);
  full.measure('tc', 'new', 1, 20 * packets);

  const rows: readonly Row[] = [
    { title: 'floor: parse, swap, XDP_TX', hook: 'xdp', kind: 'tcp', clients: 1 },
    { title: 'XDP NAT, 1 flow', hook: 'xdp', subject: nat, kind: 'tcp', clients: 1, aim: 55 },
    { title: 'XDP NAT, 4 k flows', hook: 'xdp', subject: nat, kind: 'tcp', clients: 4096 },
    { title: 'XDP NAT, 64 k flows', hook: 'xdp', subject: nat, kind: 'tcp', clients: 65_536 },
    { title: 'XDP NAT, 512 k flows', hook: 'xdp', subject: nat, kind: 'tcp', clients: many, aim: 250 },
    { title: 'XDP NAT, new flow', hook: 'xdp', subject: newNat, kind: 'new', clients: 1, aim: 500 },
    { title: 'XDP NAT, new flow, table full', hook: 'xdp', subject: full, kind: 'new', clients: 1 },
    { title: 'XDP NAT, UDP, 1 flow', hook: 'xdp', subject: nat, kind: 'udp', clients: 1 },
    { title: 'XDP NAT, reply, 1 flow', hook: 'xdp', subject: nat, kind: 'reply', clients: 1, aim: 55 },
    {
      title: 'XDP NAT, reply, 512 k flows',
      hook: 'xdp',
      subject: nat,
      kind: 'reply',
      clients: many,
      aim: 250,
    },
    { title: 'XDP DR, 1 flow', hook: 'xdp', subject: direct, kind: 'tcp', clients: 1, aim: 55 },
    { title: 'XDP DR, 512 k flows', hook: 'xdp', subject: direct, kind: 'tcp', clients: many, aim: 250 },
    { title: 'XDP DR, new flow', hook: 'xdp', subject: newDirect, kind: 'new', clients: 1, aim: 500 },
    { title: 'tc NAT, 1 flow', hook: 'tc', subject: nat, kind: 'tcp', clients: 1 },
    { title: 'tc NAT, 512 k flows', hook: 'tc', subject: nat, kind: 'tcp', clients: many },
    { title: 'tc NAT, new flow', hook: 'tc', subject: newNat, kind: 'new', clients: 1 },
    { title: 'tc NAT, reply, 1 flow', hook: 'tc', subject: nat, kind: 'reply', clients: 1 },
    { title: 'tc NAT, reply, 512 k flows', hook: 'tc', subject: nat, kind: 'reply', clients: many },
    { title: 'tc DR, 1 flow', hook: 'tc', subject: direct, kind: 'tcp', clients: 1 },
    { title: 'tc DR, 512 k flows', hook: 'tc', subject: direct, kind: 'tcp', clients: many },
  ];
  for (const { hook, subject: tested, kind, clients } of rows) tested?.check(hook, kind, clients);
  const samples = rows.map((): number[] => []);
  for (let round = 0; round < rounds; round++)
    rows.forEach((row, i) => samples[i]?.push(measure(row, harness, nat)));
  print(`\n${table(rows, samples)}`);
  const results = Object.fromEntries(rows.map(({ title }, i) => [title, samples[i]]));
  print(`\nwritten to ${relative(root, save({ nanoseconds: results }, new Date()))}`);
  for (const each of [nat, direct, newNat, newDirect, full]) each.close();
  harness.close();
  netlink.close();
}

/** @param like makes the packets of the floor @returns nanoseconds a packet, the harness taken off */
function measure({ hook, subject, kind, clients }: Row, harness: Harness, like: Subject): number {
  const plan = (subject ?? like).plan(kind, clients);
  const other = (name: string): number => harness.run(hook, harness.program(name), plan, packets).nanoseconds;
  const nothing = other(`${hook}_nothing`);
  if (subject === undefined) return other('xdp_floor') - nothing;
  const all = subject.measure(hook, kind, clients, packets);
  // not before: the next round is to find the table where it is in everyday life, not in the processor's cache
  if (kind === 'new' && subject.halfOpen === halfOpen) subject.forgetHalfOpen();
  return all - nothing;
}

function compile(folder: string): string {
  const object = join(folder, 'harness.bpf.o');
  const include = `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  const options = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-Wall', include];
  execFileSync('clang', [...options, '-c', join(root, 'bench/test-run/harness.bpf.c'), '-o', object]);
  return object;
}

function table(rows: readonly Row[], samples: readonly (readonly number[])[]): string {
  const lines = rows.map(({ title, aim }, i) => {
    const sorted = (samples[i] ?? []).toSorted((a, b) => a - b);
    const [low = NaN, middle = NaN, high = NaN] = [1, 2, 3].map(
      (n) => sorted[Math.floor((sorted.length * n) / 4)],
    );
    return [title, String(middle), `${low}-${high}`, aim === undefined ? '' : `<= ${aim}`];
  });
  const head = ['nanoseconds a packet', 'median', 'half of the rounds', 'aim where the floor is 5'];
  return `BPF_PROG_TEST_RUN, Linux ${release()}, ${rounds} rounds of ${packets.toLocaleString('en-US')} packets, the harness taken off\n${columns([head, ...lines])}`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
