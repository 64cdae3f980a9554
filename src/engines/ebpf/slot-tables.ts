/**
 * What sh, dh and mh look clients up in: computed here, and put before the BPF scheduler as a whole, so that it never sees half of one.
 */
import { BpfMap, MapType } from '../../platform/bpf/bpf-map.ts';
import type { Pool } from '../../scheduling/pool.ts';
import { schedulerAt } from '../../scheduling/registry.ts';
import { slotTableEntries } from './layout.ts';

const shape = {
  name: 'slot_table',
  type: MapType.array,
  keySize: 4,
  valueSize: 4,
  maxEntries: slotTableEntries,
  flags: 0,
};

export class SlotTables {
  readonly #map: Pick<BpfMap, 'update' | 'delete' | 'keys'>;
  readonly #pool: Pool;
  /** Services that have one. */
  readonly #present = new Set<number>();

  /** @param map `slot_tables` */
  constructor(map: Pick<BpfMap, 'update' | 'delete' | 'keys'>, pool: Pool) {
    this.#map = map;
    this.#pool = pool;
  }

  /** A service, or its destinations, changed. */
  refresh(service: number): void {
    const table = this.#pool.isService(service)
      ? schedulerAt(this.#pool.scheduler(service)).table?.(this.#pool, service)
      : undefined;
    if (table === undefined) {
      this.delete(service);
      return;
    }
    const inner = BpfMap.create(shape);
    try {
      const slots = Uint32Array.from(table, (destination) => destination + 1);
      inner.updateBatch(bytes(Uint32Array.from(slots.keys())), bytes(slots));
      this.#map.update(word(service), word(inner.fd));
    } finally {
      inner.close();
    }
    this.#present.add(service);
  }

  delete(service: number): void {
    if (this.#present.delete(service)) this.#map.delete(word(service));
  }

  /** Makes all of them as the pool wants them. */
  refreshAll(services: Iterable<number>): void {
    const wanted = new Set(services);
    for (const key of [...this.#map.keys()]) {
      const service = key.readUInt32LE();
      this.#present.add(service);
      if (!wanted.has(service)) this.refresh(service);
    }
    for (const service of wanted) this.refresh(service);
  }
}

function word(value: number): Uint8Array {
  return bytes(Uint32Array.of(value));
}

function bytes(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer);
}
