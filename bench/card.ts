/**
 * The director's front as a network card with one queue, for what forwards in the kernel: frames arrive without packet buffers from a
 * generator that has a core of its own, and a thread on the other core takes them off the queue (threaded NAPI) and forwards them.
 * Generator and XDP sink are those of `make bench-vm`.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { BpfObject } from '../src/platform/bpf/bpf-object.ts';
import { textOf } from '../test/scenario/lab/processes.ts';
import { root } from '../test/scenario/lab/paths.ts';
import { mountBpffs } from '../test/support/mounts.ts';
import { frame, frameBytes } from './vm/frames.ts';
import { ports, type Peer } from './peer.ts';
import { setXdp } from './switch.ts';

const generatorProgram = join(root, 'dist/tools/bench/live-frames.js');

export interface CardOptions {
  /** A power of two. */
  readonly flows: number;
  readonly generatorCore: number;
  readonly queueCore: number;
}

export class Card {
  readonly #peer: Peer;
  readonly #options: CardOptions;
  readonly #generator: string;
  readonly #sink: BpfObject;
  readonly #sinkPin: string;

  static async make(peer: Peer, options: CardOptions): Promise<Card> {
    const { lab } = peer;
    const threads = napiThreads();
    const script = `ethtool -K front gro on && echo 1 >/sys/class/net/front/threaded`;
    const { code, stderr } = await lab.director.run(['sh', '-c', script]);
    if (code !== 0) throw new Error(`receive queue of ${peer.name}: ${stderr}`);
    for (const pid of napiThreads())
      if (!threads.has(pid)) execFileSync('taskset', ['-c', '-p', String(options.queueCore), String(pid)]);
    const interfaces = await Promise.all([
      link(peer.lab.client, 'eth0'),
      link(peer.lab.director, 'front'),
    ] as const);
    return new Card(peer, options, ...interfaces);
  }

  private constructor(peer: Peer, options: CardOptions, eth0: Link, front: Link) {
    this.#peer = peer;
    this.#options = options;
    const pins = join(peer.lab.directory, 'bench-bpf');
    mountBpffs(pins);
    const generator = load('generator', peer.lab.directory);
    this.#generator = join(pins, 'generate');
    generator.program('generate').pin(this.#generator);
    generator.map('stream').update(Buffer.alloc(4), stream(peer, options.flows, eth0, front));
    this.#sink = load('sink', peer.lab.directory);
    this.#sinkPin = join(pins, 'drop_xdp');
    this.#sink.program('drop_xdp').pin(this.#sinkPin);
  }

  /** As many frames as one core can send. @returns how many, in how many seconds */
  async flood(seconds: number): Promise<{ sent: number; seconds: number }> {
    const { lab, name } = this.#peer;
    const generator = [
      process.execPath,
      generatorProgram,
      this.#generator,
      String(frameBytes),
      String(seconds),
    ];
    const { stdout, stderr } = await lab.client.run(
      ['taskset', '-c', String(this.#options.generatorCore), ...generator],
      { timeout: seconds + 20 },
    );
    if (stdout === '') throw new Error(`frames through ${name}: ${stderr}`);
    await pause(200);
    return JSON.parse(stdout) as { sent: number; seconds: number };
  }

  /** While `measure` runs, an XDP program takes frames off the director's cable. @returns how many it has taken, beside what `measure` returns */
  async intoXdp<T>(measure: () => Promise<T>): Promise<readonly [number, T]> {
    const before = this.#taken();
    setXdp(this.#peer.lab, this.#sinkPin);
    try {
      const result = await measure();
      return [this.#taken() - before, result];
    } finally {
      setXdp(this.#peer.lab, undefined);
    }
  }

  #taken(): number {
    const counters = Array.from(this.#sink.map('arrived').entries(), ([, value]) =>
      Number(value.readBigUInt64LE()),
    );
    return counters.reduce((sum, counter) => sum + counter, 0);
  }
}

interface Link {
  readonly ifindex: number;
  /** Ethernet address. */
  readonly address: string;
}

async function link(host: Peer['lab']['client'], name: string): Promise<Link> {
  const { stdout } = await host.run(['ip', '-j', 'link', 'show', name]);
  const [found] = JSON.parse(stdout) as readonly Link[];
  if (found === undefined) throw new Error(`no interface ${name}`);
  return found;
}

/** struct stream of generator.bpf.c */
function stream({ address }: Peer, flows: number, eth0: Link, front: Link): Buffer {
  const first = frame('udp', false, {
    sourceMac: eth0.address,
    mac: front.address,
    source: '10.1.0.2',
    address,
    port: ports.sink,
  });
  const bytes = Buffer.concat([first, Buffer.alloc(12)]);
  bytes.writeUInt32LE(eth0.ifindex, frameBytes);
  bytes.writeUInt32LE(flows, frameBytes + 4);
  return bytes;
}

function load(name: string, folder: string): BpfObject {
  const object = join(folder, `${name}.bpf.o`);
  const machine = execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim();
  const options = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', `-I/usr/include/${machine}-linux-gnu`];
  execFileSync('clang', [...options, '-c', join(root, `bench/vm/${name}.bpf.c`), '-o', object]);
  const opened = BpfObject.open(object);
  opened.load();
  return opened;
}

/** Of interfaces named `front`, in whatever network namespace. */
function napiThreads(): ReadonlySet<number> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return new Set(pids.filter((pid) => textOf(`/proc/${pid}/comm`).startsWith('napi/front-')).map(Number));
}
