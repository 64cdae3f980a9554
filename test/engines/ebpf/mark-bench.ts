/** The walk for firewall marks on a bench: a small BPF program that is told of a packet, and says which mark the rules in its map give. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MarkPrograms } from '../../../src/engines/ebpf/mark-programs.ts';
import { BpfObject } from '../../../src/platform/bpf/bpf-object.ts';
import type { BpfProgram } from '../../../src/platform/bpf/bpf-program.ts';

const bpfFolder = fileURLToPath(new URL('../../../src/engines/ebpf/bpf', import.meta.url));
const source = fileURLToPath(new URL('mark-probe.bpf.c', import.meta.url));

/** Offsets in struct probe, of struct packet in it. */
const P = {
  mark: 16,
  interface: 20,
  source: 24,
  target: 40,
  ports: 56,
  family: 68,
  protocol: 69,
  bytes: 72,
} as const;

/** Words as in {@link MarkedPacket}. */
export interface ProbedPacket {
  readonly family: 4 | 6;
  readonly protocol: number;
  readonly source: readonly number[];
  readonly target: readonly number[];
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export class MarkBench {
  readonly program: BpfProgram;
  readonly programs: MarkPrograms;
  /** Of the maps `mark_rules` and `settings`. */
  readonly view: (name: string) => ArrayBuffer;
  readonly #object: BpfObject;
  readonly #probe = Buffer.alloc(P.bytes);

  constructor() {
    this.#object = load();
    this.program = this.#object.program('mark_probe');
    this.view = (name) => this.#object.map(name).view();
    this.programs = new MarkPrograms({ view: this.view });
  }

  /** @param interfaceIndex where it comes in */
  markOf(packet: ProbedPacket, interfaceIndex: number): number {
    const probe = this.#probe.fill(0);
    probe.writeUInt32LE(interfaceIndex, P.interface);
    for (let word = 0; word < 4; word++) {
      probe.writeInt32BE(packet.source[word] ?? 0, P.source + 4 * word);
      probe.writeInt32BE(packet.target[word] ?? 0, P.target + 4 * word);
    }
    probe.writeUInt16BE(packet.sourcePort, P.ports);
    probe.writeUInt16BE(packet.destinationPort, P.ports + 2);
    probe.writeUInt8(packet.family, P.family);
    probe.writeUInt8(packet.protocol, P.protocol);
    return this.program.testRun({ data: probe }).data.readUInt32LE(P.mark);
  }

  nanoseconds(packets: number): number {
    return this.program.testRun({ data: this.#probe, repeat: packets }).nanoseconds;
  }

  close(): void {
    this.#object.close();
  }
}

function load(): BpfObject {
  const folder = mkdtempSync(join(tmpdir(), 'mark-probe-'));
  try {
    const object = join(folder, 'probe.o');
    const machine = `/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
    const options = ['-target', 'bpf', '-mcpu=v3', '-O2', '-g', '-Wall', '-Wno-unused-function', '-Werror'];
    execFileSync('clang', [...options, '-I', bpfFolder, '-I', machine, '-c', source, '-o', object]);
    const opened = BpfObject.open(object, {});
    opened.load();
    return opened;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
