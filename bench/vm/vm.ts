/**
 * `make bench-vm`: instructions that a packet costs on the ebpf engine, next to the kernel's own IPVS, in Debian's kernel under QEMU, where
 * they can be counted (see `boot`). `make bench-vm PARTS=load` tells whether that kernel takes the BPF programs; other PARTS are
 * names of paths.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, which } from '../../test/scenario/lab/paths.ts';
import { columns, save } from '../report.ts';
import { flows, type Protocol } from './frames.ts';
import type { LoadedProgram } from './load.ts';
import { fixed, type Path, paths } from './paths.ts';

interface Answer {
  /** Instructions a frame, with generator and sink. */
  readonly udp?: number;
  readonly tcp?: number;
  readonly loaded?: readonly LoadedProgram[];
  readonly error?: string;
}

const protocols: readonly Protocol[] = ['udp', 'tcp'];
const here = join(root, 'bench/vm');
const built = dirname(fileURLToPath(import.meta.url));
const cache = process.env['BENCH_VM_DIR'] ?? '/var/tmp/directord-vm';
const kernel = join(cache, 'debian');
const engineObject = 'dist/engines/ebpf/directord.bpf.o';
const programs = [
  'qemu-system-x86_64',
  'busybox',
  'modprobe',
  'cpio',
  'clang',
  'bpftool',
  'ipvsadm',
  'nft',
  'ethtool',
  'npm',
];

const asked = process.argv.length > 2 ? process.argv.slice(2) : ['load', ...Object.keys(paths)];
const unknown = asked.filter((part) => part !== 'load' && !Object.hasOwn(paths, part));
const missing = programs.filter((program) => which(program) === undefined);

if (process.arch !== 'x64') fail('instructions are counted on x86-64 only');
else if (unknown.length > 0)
  fail(`no part ${unknown.join(', ')}; there are load, ${Object.keys(paths).join(', ')}`);
else if (missing.length > 0) fail(`needs ${missing.join(', ')} (make deps)`);
else {
  const folder = mkdtempSync(join(tmpdir(), 'directord-bench-vm-'));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function run(folder: string): Promise<void> {
  const release = execFileSync(join(here, 'kernel'), [kernel], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
  const include = `-I/usr/include/${execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim()}-linux-gnu`;
  const compile = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-Wall', include];
  for (const name of ['generator', 'sink'])
    execFileSync('clang', [
      ...compile,
      '-c',
      join(here, `${name}.bpf.c`),
      '-o',
      join(built, `${name}.bpf.o`),
    ]);
  const archive = join(folder, 'archive');
  execFileSync(join(here, 'pack'), [kernel, root, archive], { stdio: ['ignore', 'inherit', 'inherit'] });

  const measured = asked.filter((part) => part !== 'load');
  const needed = new Set(measured.map((name) => fixed[path(name).hook]));
  const against = measured.flatMap((name) => path(name).against?.path ?? []);
  const work = [...new Set([...asked.filter((part) => part === 'load'), ...needed, ...against, ...measured])];
  const answers = new Map<string, Answer>();
  const waiting = [...work];
  // Guests do not disturb each other's counts.
  const worker = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift())
      answers.set(name, await boot(folder, archive, name));
  };
  await Promise.all(cpus().map(worker));

  const loaded = answers.get('load');
  if (loaded !== undefined) print(`\n${loadTable(loaded, release)}`);
  if (measured.length > 0) {
    print(
      `\n${table(
        work.filter((name) => name !== 'load'),
        answers,
        release,
      )}`,
    );
    print(
      `\nwritten to ${relative(root, save({ instructions: Object.fromEntries(answers), release }, new Date()))}`,
    );
  }
  for (const [name, { error }] of answers) if (error !== undefined) fail(`\n${name}: ${error}`);
}

/** One guest, one piece of work. */
async function boot(folder: string, archive: string, name: string): Promise<Answer> {
  const file = join(folder, `${name}.answer`);
  const words = [kernel, archive, file, `WORK=${name === 'load' ? engineObject : name}`];
  const guest = spawn(join(here, 'boot'), words, { stdio: ['ignore', 'pipe', 'inherit'] });
  let console = '';
  guest.stdout.setEncoding('utf8').on('data', (text: string) => (console += text));
  await new Promise((resolve) => guest.on('close', resolve));
  const answer = readFileSync(file, 'utf8').trim();
  if (!answer.startsWith('{')) return { error: `no answer; its console:\n${console.slice(-4000)}` };
  return JSON.parse(answer) as Answer;
}

function path(name: string): Path {
  const found = paths[name];
  if (found === undefined) throw new Error(`no path ${name}`);
  return found;
}

function table(names: readonly string[], answers: ReadonlyMap<string, Answer>, release: string): string {
  const all = (name: string, protocol: Protocol): number => answers.get(name)?.[protocol] ?? NaN;
  const net = (name: string, protocol: Protocol): number =>
    all(name, protocol) - all(fixed[path(name).hook], protocol);
  const rows = names.map((name) => {
    const { title, against } = path(name);
    const isFixed = Object.values(fixed).includes(name);
    const counts = protocols.map((protocol) => count(isFixed ? all(name, protocol) : net(name, protocol)));
    if (against === undefined) return [title, ...counts];
    const ratios = protocols.map((protocol) => net(name, protocol) / net(against.path, protocol));
    const met = ratios.every((ratio) => ratio <= against.aim) ? 'yes' : 'no';
    return [
      title,
      ...counts,
      ...ratios.map((ratio) => (Number.isNaN(ratio) ? '-' : ratio.toFixed(3))),
      `<= ${against.aim}`,
      met,
    ];
  });
  const head = ['instructions a packet', 'UDP', 'TCP', 'of IPVS: UDP', 'TCP', 'aim', 'met'];
  return `64-byte packets of ${flows} established flows, Linux ${release}; generator and sink are taken off the others\n${columns([head, ...rows])}`;
}

function loadTable({ loaded = [] }: Answer, release: string): string {
  const rows = loaded.map(({ name, type, verified, translated, jited }) => [
    name,
    type,
    ...[verified, translated / 8, jited].map(count),
  ]);
  const head = ['program', 'type', 'verified instructions', 'instructions', 'bytes of machine code'];
  return `${engineObject} on Linux ${release}: ${loaded.length > 0 ? 'loads' : 'does not load'}\n${columns([head, ...rows])}`;
}

function count(number: number): string {
  return Number.isNaN(number) ? '-' : Math.round(number).toLocaleString('en-US');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(why: string): void {
  print(why);
  process.exitCode = 1;
}
