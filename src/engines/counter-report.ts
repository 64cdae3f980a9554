/**
 * What a forwarder tells of its services and destinations: connections as the pool counts them, and traffic since each
 * slot's present life, or its last zeroing, began. Tallies themselves are never set back: their threads own them.
 */
import type { Pool, PoolSize } from '../scheduling/pool.ts';
import type { Counters } from './engine.ts';
import { addCounters, subtractCounters, zeroCounters } from './engine.ts';
import type { PackedReport } from './packed-report.ts';
import { counterNames, ReportPacker } from './packed-report.ts';
import type { PoolService } from './pool-table.ts';
import type { Tallies } from './tallies.ts';

export interface CounterReportParts {
  readonly pool: Pool;
  readonly size: PoolSize;
  /** Of every thread; may still grow. */
  readonly tallies: readonly Tallies[];
  services(): Iterable<PoolService>;
}

/** @param put adds the counters of that slot to the numbers of `packer`, at `packer.at` */
export function packReport(
  pool: Pool,
  all: Iterable<PoolService>,
  totals: Counters,
  put: (packer: ReportPacker, kind: 'service' | 'destination', slot: number) => void,
): PackedReport {
  const services = [...all];
  const count = services.reduce((sum, { destinations }) => sum + destinations.size, 0);
  const packer = new ReportPacker(services.length, count);
  for (const { id, slot, destinations } of services) {
    packer.addService(id, destinations.size);
    put(packer, 'service', slot);
    for (const { id: destination, slot } of destinations.values()) {
      packer.addDestination(destination, pool.active(slot), pool.inactive(slot), pool.persistent(slot));
      put(packer, 'destination', slot);
    }
  }
  return packer.finish(totals);
}

export class CounterReport {
  readonly #parts: CounterReportParts;
  /** What the counters stood at when counting began; by tally row. */
  readonly #baselines = new Map<number, Counters>();
  /** What all services together stood at when all were last zeroed. */
  #zeroed = zeroCounters;
  /** Rows of services that ever were. */
  #serviceRows = 0;

  constructor(parts: CounterReportParts) {
    this.#parts = parts;
  }

  /** Packets wait while this is made: of a big table it takes milliseconds. */
  report(): PackedReport {
    const { pool } = this.#parts;
    const totals = subtractCounters(this.#everything(), this.#zeroed);
    return packReport(pool, this.#parts.services(), totals, (packer, kind, slot) => {
      this.#put(packer, kind === 'service' ? slot : this.#destinationRow(slot));
    });
  }

  /** A slot starts a new life: what was counted for it before is not its own. */
  slotTaken(kind: 'service' | 'destination', slot: number): void {
    if (kind === 'service') this.#serviceRows = Math.max(this.#serviceRows, slot + 1);
    this.#setBaseline(kind === 'service' ? slot : this.#destinationRow(slot));
  }

  /** Counts from 0 again: one service with its destinations, or all. */
  zero(only: PoolService | undefined): void {
    if (only === undefined) this.#zeroed = this.#everything();
    for (const service of only === undefined ? this.#parts.services() : [only]) {
      this.#setBaseline(service.slot);
      for (const { slot } of service.destinations.values()) this.#setBaseline(this.#destinationRow(slot));
    }
  }

  #destinationRow(slot: number): number {
    return this.#parts.size.services + slot;
  }

  #put({ numbers, at }: ReportPacker, row: number): void {
    for (const tallies of this.#parts.tallies) tallies.addTo(numbers, at, row);
    const base = this.#baselines.get(row);
    if (base !== undefined)
      counterNames.forEach((name, i) => (numbers[at + i] = (numbers[at + i] as number) - base[name]));
  }

  #total(row: number): Counters {
    let sum = zeroCounters;
    for (const tallies of this.#parts.tallies) {
      const counted = tallies.read(row);
      if (counted !== zeroCounters) sum = addCounters(sum, counted);
    }
    return sum;
  }

  /** Since the start, whatever has become of the services. */
  #everything(): Counters {
    return this.#parts.tallies.reduce(
      (sum, each) => addCounters(sum, each.sum(this.#serviceRows)),
      zeroCounters,
    );
  }

  #setBaseline(row: number): void {
    const total = this.#total(row);
    if (total.connections === 0 && total.inPackets === 0 && total.outPackets === 0)
      this.#baselines.delete(row);
    else this.#baselines.set(row, total);
  }
}
