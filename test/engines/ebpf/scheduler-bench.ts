/**
 * The BPF schedulers on a bench: a pool in a map's memory, which TypeScript changes and a small BPF program picks from. Every
 * pick is compared with what the TypeScript scheduler does to a copy of that memory.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BpfMap, MapType } from '../../../src/platform/bpf/bpf-map.ts';
import { BpfObject } from '../../../src/platform/bpf/bpf-object.ts';
import type { BpfProgram } from '../../../src/platform/bpf/bpf-program.ts';
import type { PoolSize } from '../../../src/scheduling/pool.ts';
import { Pool } from '../../../src/scheduling/pool.ts';
import { schedulerAt } from '../../../src/scheduling/registry.ts';
import type { Flow } from '../../../src/scheduling/scheduler.ts';
import { Lab } from '../../scheduling/lab.ts';

const bpfFolder = fileURLToPath(new URL('../../../src/engines/ebpf/bpf', import.meta.url));
const source = fileURLToPath(new URL('scheduler-probe.bpf.c', import.meta.url));

const tableEntries = 4096;
/** Offsets in struct probe. */
const P = { service: 16, slot: 20, counted: 24, address: 28, virtual: 44, port: 60, family: 64, seconds: 68 };
const probeBytes = 72;

export class SchedulerBench {
  readonly program: BpfProgram;
  /** In the map's memory. */
  pool: Pool;
  readonly words: Int32Array;
  readonly #object: BpfObject;
  readonly #size: PoolSize;
  readonly #tables = new Map<number, BpfMap>();
  readonly #filled = new Map<number, number>();
  readonly #probe = Buffer.alloc(probeBytes);
  #copy: Pool;
  readonly #copyWords: Int32Array;

  constructor(size: PoolSize) {
    this.#size = size;
    this.#object = load(size);
    this.program = this.#object.program('scheduler_probe');
    this.words = new Int32Array(this.#object.map('pool').view(), 0, Pool.bytes(size) / 4);
    this.#copyWords = new Int32Array(this.words.length);
    this.pool = this.#poolOf(this.words);
    this.#copy = this.#poolOf(this.#copyWords);
  }

  /** An empty pool again. */
  reset(): void {
    this.words.fill(0);
    this.pool = this.#poolOf(this.words);
    this.#copy = this.#poolOf(this.#copyWords);
    this.#filled.clear();
  }

  #poolOf(words: Int32Array): Pool {
    return new Pool(words.buffer, this.#size);
  }

  /** @returns the slot that the BPF scheduler picks; NONE is -1 here as there */
  pick(service: number, flow: Flow, { repeat = 1, counted = false } = {}): number {
    this.fillTable(service);
    return this.run(this.question(service, flow, counted), repeat).slot;
  }

  run(question: Uint8Array, repeat: number): { slot: number; nanoseconds: number } {
    const { data, nanoseconds } = this.program.testRun({ data: question, repeat });
    return { slot: data.readInt32LE(P.slot), nanoseconds };
  }

  /** The packet that asks. It is written anew by the next question. */
  question(service: number, flow: Flow, counted = false): Buffer {
    const probe = this.#probe;
    probe.writeInt32LE(service, P.service);
    probe.writeInt32LE(counted ? 1 : 0, P.counted);
    for (let word = 0; word < 4; word++) {
      probe.writeInt32LE(flow.client[word] ?? 0, P.address + word * 4);
      probe.writeInt32LE(flow.virtual[word] ?? 0, P.virtual + word * 4);
    }
    probe.writeInt32LE(flow.clientPort, P.port);
    probe.writeInt32LE(flow.family, P.family);
    probe.writeInt32LE(flow.now, P.seconds);
    return probe;
  }

  /** How often each slot was picked by counted runs; zeroes that. */
  answers(): number[] {
    const counts = new BigInt64Array(this.#object.map('answers').view());
    const answers = Array.from(counts, Number);
    counts.fill(0n);
    return answers;
  }

  /** Index in {@link words} of a service's words. */
  serviceAt(service: number): number {
    return 16 * (1 + service);
  }

  /** Likewise of a destination's. */
  destinationAt(slot: number): number {
    return 16 * (1 + this.#size.services + slot);
  }

  /** What TypeScript picks; the pool stays as it is, and what that changed in the copy can be {@link compare compared} later. */
  expected(service: number, flow: Flow): number {
    this.#copyWords.set(this.words);
    return schedulerAt(this.#copy.scheduler(service)).pick(this.#copy, service, flow);
  }

  /** State words and notes too must be what the TypeScript pick left. */
  compare(): void {
    if (
      Buffer.from(this.words.buffer).compare(
        Buffer.from(this.#copyWords.buffer),
        0,
        undefined,
        0,
        this.words.byteLength,
      ) === 0
    )
      return;
    const different = [...this.words.keys()].filter((at) => this.words[at] !== this.#copyWords[at]);
    const list = (words: Int32Array) => different.map((at) => `${at >> 4}.${at & 15}=${words[at]}`).join(' ');
    assert.equal(list(this.words), list(this.#copyWords), 'the pool after the pick');
  }

  /** Both pick; @returns the slot */
  pickAlike(service: number, flow: Flow): number {
    const expected = this.expected(service, flow);
    assert.equal(this.pick(service, flow), expected, 'pick');
    this.compare();
    return expected;
  }

  /** Writes the service's slot table, when it hashes and was changed. */
  fillTable(service: number): void {
    const scheduler = schedulerAt(this.pool.scheduler(service));
    const revision = this.pool.revision(service);
    if (scheduler.table === undefined || this.#filled.get(service) === revision) return;
    this.#filled.set(service, revision);
    this.setTable(service, scheduler.table(this.pool, service));
  }

  /** Slots by bucket; NONE for none. */
  setTable(service: number, slots: Int32Array): void {
    const table = this.#tables.get(service) ?? this.#newTable(service);
    const values = new Uint32Array(slots.length);
    slots.forEach((slot, at) => (values[at] = slot + 1));
    table.updateBatch(bytes(Uint32Array.from(slots.keys())), bytes(values));
  }

  #newTable(service: number): BpfMap {
    const shape = { type: MapType.array, keySize: 4, valueSize: 4, maxEntries: tableEntries, flags: 0 };
    const table = BpfMap.create({ ...shape, name: 'slot_table' });
    this.#object.map('slot_tables').update(bytes(Uint32Array.of(service)), bytes(Uint32Array.of(table.fd)));
    this.#tables.set(service, table);
    return table;
  }

  close(): void {
    for (const table of this.#tables.values()) table.close();
    this.#object.close();
  }
}

function bytes(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer);
}

function load({ services, destinations }: PoolSize): BpfObject {
  const folder = mkdtempSync(join(tmpdir(), 'scheduler-probe-'));
  try {
    const object = join(folder, 'probe.o');
    const include = [
      '-I',
      bpfFolder,
      '-I',
      `/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`,
    ];
    const options = ['-target', 'bpf', '-mcpu=v3', '-O2', '-g', '-Wall', '-Wextra', '-Werror', ...include];
    execFileSync('clang', [...options, '-c', source, '-o', object]);
    const opened = BpfObject.open(object, {
      mapSizes: { pool: 1 + services + destinations, slot_tables: services, answers: destinations },
      constants: { service_slots: services, destination_slots: destinations },
    });
    opened.load();
    return opened;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A lab whose choices BPF makes, as TypeScript would. */
export class BpfLab extends Lab {
  readonly #bench: SchedulerBench;

  constructor(bench: SchedulerBench, scheduler: string, flags = 0, family: 4 | 6 = 4) {
    super(scheduler, flags, family, bench.pool);
    this.#bench = bench;
  }

  protected override choose(flow: Flow): number {
    return this.#bench.pickAlike(this.service, flow);
  }
}

/** Words of a destination and of a service that tests write themselves. */
export const D = { next: 0, service: 1, weight: 2, active: 4, inactive: 5, flags: 7 } as const;
export const S = { head: 0, count: 1, state: 8 } as const;

/**
 * In an otherwise almost empty pool a service of so many destinations, which have weights of 1 to 7 and a few connections.
 * @returns slots from the last of the list to its first
 */
export function longList(
  bench: SchedulerBench,
  scheduler: string,
  count: number,
  flags = 0,
): { service: number; slots: number[] } {
  bench.reset();
  // a slot that is 0 would hide mistakes
  new BpfLab(bench, 'wlc').add(1, { weight: 1 });
  const lab = new BpfLab(bench, 'none', flags);
  const { service } = lab;
  const random = generator(7);
  const slots = Array.from({ length: count }, (_, at) =>
    bench.pool.addDestination(service, `10.${3 + (at >> 8)}.${at & 255}.1`, 80),
  );
  for (const slot of slots) {
    bench.pool.setDestination(slot, { weight: 1 + (random() % 7), upper: 0, lower: 0, barred: false });
    bench.words[bench.destinationAt(slot) + D.active] = random() % 40;
    bench.words[bench.destinationAt(slot) + D.inactive] = random() % 40;
  }
  lab.editService(scheduler);
  bench.fillTable(service);
  return { service, slots };
}

/** Park and Miller's minimal standard generator. */
export function generator(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48271) % 2147483647);
}
