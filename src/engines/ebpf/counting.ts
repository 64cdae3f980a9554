/**
 * Traffic of services and destinations. BPF programs count for each destination slot and CPU, and never set back; here that is added
 * up, for the service too, in rows that outlive the daemon as the table does, and that begin anew with a slot's life or with `-Z`.
 */
import type { BpfMap } from '../../platform/bpf/bpf-map.ts';
import type { Pool, PoolSize } from '../../scheduling/pool.ts';
import { packReport } from '../counter-report.ts';
import type { PackedReport } from '../packed-report.ts';
import type { PoolService } from '../pool-table.ts';
import { Tallies } from '../tallies.ts';
import { Traffic } from './layout.ts';

/** Numbers of a row. */
const fields = Traffic.bytes / 8;
/** Destinations whose counters are fetched at once. */
const batchSize = 1024;
const twoTo32 = 2 ** 32;

export interface CountingParts {
  readonly pool: Pool;
  readonly size: PoolSize;
  /** `traffic` */
  readonly traffic: BpfMap;
  /** Memory of the map `tallies`. */
  readonly rows: ArrayBuffer;
  services(): Iterable<PoolService>;
}

export class Counting {
  readonly #parts: CountingParts;
  readonly #numbers: Float64Array;
  readonly #rows: Tallies;
  readonly #sums = new Float64Array(fields);

  constructor(parts: CountingParts) {
    this.#parts = parts;
    this.#numbers = new Float64Array(parts.rows);
    this.#rows = new Tallies(parts.rows);
  }

  report(): PackedReport {
    this.#gather();
    const { pool } = this.#parts;
    return packReport(pool, this.#parts.services(), this.#rows.read(0), (packer, kind, slot) => {
      const row = kind === 'service' ? serviceRow(slot) : this.#destinationRow(slot);
      this.#rows.addTo(packer.numbers, packer.at, row);
    });
  }

  /** A slot starts a new life: what was counted for it before is not its own. */
  slotTaken(kind: 'service' | 'destination', slot: number): void {
    if (kind === 'service') this.#clear(serviceRow(slot));
    else {
      this.#skip(slot);
      this.#clear(this.#destinationRow(slot));
    }
  }

  /** It was deleted: what it did so far stays with its service. */
  destinationRemoved(service: number, slot: number): void {
    this.#addUp(service, slot, this.#read(slot));
  }

  /** It is back, with its counters; what came for it meanwhile was nobody's. */
  destinationRevived(slot: number): void {
    this.#skip(slot);
  }

  /** Counts from 0 again: one service with its destinations, or all. */
  zero(only: PoolService | undefined): void {
    this.#gather();
    if (only === undefined) this.#clear(0);
    for (const service of only === undefined ? this.#parts.services() : [only]) {
      this.#clear(serviceRow(service.slot));
      for (const { slot } of service.destinations.values()) this.#clear(this.#destinationRow(slot));
    }
  }

  /** Adds up what was counted since the last time. */
  #gather(): void {
    const { pool, traffic } = this.#parts;
    const last = this.#lastDestination();
    const stride = traffic.valueBytes / 4;
    let slot = 0;
    if (last < 0) return;
    for (const { count, values } of traffic.batches(Math.min(batchSize, traffic.maxEntries))) {
      const words = new Uint32Array(values.buffer, values.byteOffset, values.byteLength / 4);
      for (let index = 0; index < count; index++, slot++)
        if (pool.available(slot))
          this.#addUp(pool.serviceOf(slot), slot, this.#sum(words, index * stride, stride));
      if (slot > last) return;
    }
  }

  #lastDestination(): number {
    let last = -1;
    for (const { destinations } of this.#parts.services())
      for (const { slot } of destinations.values()) last = Math.max(last, slot);
    return last;
  }

  /** What was counted for the slot since it was last looked at, for itself, its service, and all together. */
  #addUp(service: number, slot: number, sums: Float64Array): void {
    const numbers = this.#numbers;
    const known = this.#knownRow(slot) * fields;
    const own = this.#destinationRow(slot) * fields;
    const services = serviceRow(service) * fields;
    for (let field = 0; field < fields; field++) {
      const sum = sums[field] as number;
      const more = sum - (numbers[known + field] as number);
      if (more === 0) continue;
      numbers[known + field] = sum;
      numbers[own + field] = (numbers[own + field] as number) + more;
      numbers[services + field] = (numbers[services + field] as number) + more;
      numbers[field] = (numbers[field] as number) + more;
    }
  }

  #skip(slot: number): void {
    this.#numbers.set(this.#read(slot), this.#knownRow(slot) * fields);
  }

  /** The slot's counters, of all CPUs together; the same array each time. */
  #read(slot: number): Float64Array {
    const value = this.#parts.traffic.lookupPerCpu(new Uint8Array(Uint32Array.of(slot).buffer));
    const words = new Uint32Array(value.buffer, value.byteOffset, value.byteLength / 4);
    return this.#sum(words, 0, words.length);
  }

  #sum(words: Uint32Array, from: number, length: number): Float64Array {
    const sums = this.#sums.fill(0);
    for (let cpu = from; cpu < from + length; cpu += 2 * fields)
      for (let field = 0; field < fields; field++) {
        const at = cpu + 2 * field;
        sums[field] = (sums[field] as number) + (words[at] as number) + (words[at + 1] as number) * twoTo32;
      }
    return sums;
  }

  #clear(row: number): void {
    this.#numbers.fill(0, row * fields, (row + 1) * fields);
  }

  #destinationRow(slot: number): number {
    return 1 + this.#parts.size.services + slot;
  }

  /** How much of the slot's traffic is in the other rows. */
  #knownRow(slot: number): number {
    return this.#destinationRow(slot) + this.#parts.size.destinations;
  }
}

/** Row 0 is all services together. */
function serviceRow(slot: number): number {
  return 1 + slot;
}
