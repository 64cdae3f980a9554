/**
 * The director's front as a network card, for what forwards in the kernel: frames arrive there without packet buffers, 64 at a time, and
 * whoever has sent them takes them off the queue, forwards and counts them before it sends more. So one core does everything, and
 * nothing is lost. Generator and XDP sink are those of `make bench-vm`.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { BpfObject } from '../src/platform/bpf/bpf-object.ts';
import { root } from '../test/scenario/lab/paths.ts';
import { mountBpffs } from '../test/support/mounts.ts';
import { frame, frameBytes } from './vm/frames.ts';
import { ports, type Peer } from './peer.ts';
import { setXdp } from './switch.ts';

const generatorProgram = join(root, 'dist/tools/bench/live-frames.js');

export class Card {
  readonly #peer: Peer;
  readonly #core: number;
  readonly #generator: string;
  readonly #sink: BpfObject;
  readonly #sinkPin: string;

  /** @param flows a power of two */
  static async make(peer: Peer, core: number, flows: number): Promise<Card> {
    // what comes without a packet buffer is received by NAPI only, which a veth has with GRO
    const { code, stderr } = await peer.lab.director.run(['ethtool', '-K', 'front', 'gro', 'on']);
    if (code !== 0) throw new Error(`GRO of ${peer.name}: ${stderr}`);
    const interfaces = await Promise.all([
      link(peer.lab.client, 'eth0'),
      link(peer.lab.director, 'front'),
    ] as const);
    return new Card(peer, core, flows, ...interfaces);
  }

  private constructor(peer: Peer, core: number, flows: number, eth0: Link, front: Link) {
    this.#peer = peer;
    this.#core = core;
    const pins = join(peer.lab.directory, 'bench-bpf');
    mountBpffs(pins);
    const generator = load('generator', peer.lab.directory);
    this.#generator = join(pins, 'generate');
    generator.program('generate').pin(this.#generator);
    generator.map('stream').update(Buffer.alloc(4), stream(peer, flows, eth0, front));
    this.#sink = load('sink', peer.lab.directory);
    this.#sinkPin = join(pins, 'drop_xdp');
    this.#sink.program('drop_xdp').pin(this.#sinkPin);
  }

  /** As many frames as the core can send. @returns how many, in how many seconds */
  async flood(seconds: number): Promise<{ sent: number; seconds: number }> {
    const { lab, name } = this.#peer;
    const generator = [
      process.execPath,
      generatorProgram,
      this.#generator,
      String(frameBytes),
      String(seconds),
    ];
    const { stdout, stderr } = await lab.client.run(['taskset', '-c', String(this.#core), ...generator], {
      timeout: seconds + 20,
    });
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
  const first = frame('udp', 'data', {
    sourceMac: eth0.address,
    mac: front.address,
    source: '10.1.0.2',
    address,
    port: ports.sink,
  });
  const bytes = Buffer.concat([first, Buffer.alloc(16)]);
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
