/**
 * Loaded directors with empty tables. Loading takes the verifier half a second, so one is emptied and used again for every story that
 * needs no other sizes.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MapType } from '../../src/platform/bpf/bpf-map.ts';
import type { BpfMap } from '../../src/platform/bpf/bpf-map.ts';
import { Settings } from '../../src/engines/ebpf/layout.ts';
import type { LoadedObject } from '../../src/engines/ebpf/program.ts';
import { loadDirector } from '../../src/engines/ebpf/program.ts';
import type { TableSizes } from '../../src/engines/ebpf/table-sizes.ts';
import { mapEntries } from '../../src/engines/ebpf/table-sizes.ts';
import type { Story } from './story.ts';

/** Compiled, this file is in dist/tools/test/support. */
const compiled = import.meta.url.includes('/dist/tools/');
const built = new URL(
  `${compiled ? '../../..' : '../../dist'}/engines/ebpf/directord.bpf.o`,
  import.meta.url,
);
/** What `make build` compiled, or for who works on it: DIRECTORD_BPF_OBJECT. */
const objectPath = process.env['DIRECTORD_BPF_OBJECT'] ?? fileURLToPath(built);

/** Why there is no object to load, or false. */
export const noObject = existsSync(objectPath) ? false : `${objectPath} is missing: make build`;

export class DirectorSupply {
  readonly #loaded = new Map<string, LoadedObject>();

  /** Empty; the one before of these limits is the same. */
  director(limits: Story['limits']): LoadedObject {
    const sizes = sizesFor(limits);
    const key = JSON.stringify(sizes);
    let director = this.#loaded.get(key);
    if (director === undefined) {
      director = loadDirector({ sizes, object: objectPath });
      this.#loaded.set(key, director);
    } else empty(director);
    return director;
  }

  close(): void {
    for (const director of this.#loaded.values()) director.close();
    this.#loaded.clear();
  }
}

/** A story of limits counts connections of one slot each: so few that they share one bucket, and the oldest of all makes room. */
const bucketOfLimits = 4;

function sizesFor(limits: Story['limits']): TableSizes {
  const { connections, halfOpen } = limits ?? { connections: 1024, halfOpen: 1024 };
  const both = (entries: number) => ({ 4: entries, 6: entries });
  return {
    services: 64,
    destinations: 256,
    connections: both(connections),
    halfOpen: both(limits === undefined ? halfOpen : halfOpen / bucketOfLimits),
    templates: both(1024),
  };
}

const filledAtLoad = new Set(['steps']);

/** All maps as they were after loading. */
function empty(director: LoadedObject): void {
  const mapped = new Set(Object.keys(mapEntries(director.sizes)));
  for (const name of director.object.mapNames) {
    if (name.startsWith('.') || filledAtLoad.has(name)) continue;
    const map = director.map(name);
    if (map.type === MapType.array && mapped.has(name)) zero(name, director.view(name));
    else if (map.type === MapType.percpuArray || name === 'icmp_tokens') zeroRows(map);
    else if (map.type === MapType.hash || map.type === MapType.hashOfMaps)
      for (const key of [...map.keys()]) map.delete(key);
  }
}

function zero(name: string, memory: ArrayBuffer): void {
  const bytes = new Uint8Array(memory);
  const seed = name === 'settings' ? bytes.slice(Settings.seed, Settings.seed + 8) : undefined;
  bytes.fill(0);
  if (seed !== undefined) bytes.set(seed, Settings.seed);
}

function zeroRows(map: BpfMap): void {
  const keys = Uint32Array.from({ length: map.maxEntries }, (_, index) => index);
  map.updateBatch(new Uint8Array(keys.buffer), new Uint8Array(map.maxEntries * map.valueBytes));
}
