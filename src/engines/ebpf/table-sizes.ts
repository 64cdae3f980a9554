/** How much the maps of the ebpf engine have room for, and the memory that this takes: the kernel allocates all of it at once. */
import { Pool } from '../../scheduling/pool.ts';
import type { PoolSize } from '../../scheduling/pool.ts';
import { Flow, Flow6, Rules, Server, Settings, Traffic, ways } from './layout.ts';

/** GROUP of bpf/types.h. */
const bucketsInGroup = 64;

export interface PerFamily {
  readonly 4: number;
  readonly 6: number;
}

export interface TableSizes extends PoolSize {
  /** Established connections, and UDP flows that were answered. */
  readonly connections: PerFamily;
  /** Connections of which nobody knows yet whether there is a client. */
  readonly halfOpen: PerFamily;
  /** Persistence templates. */
  readonly templates: PerFamily;
}

export const defaultSizes: TableSizes = {
  services: 16_384,
  destinations: 65_536,
  connections: { 4: 262_144, 6: 65_536 },
  halfOpen: { 4: 65_536, 6: 16_384 },
  templates: { 4: 65_536, 6: 16_384 },
};

/** The arrays of flows, each with the number of its buckets. A bucket that is half full on average hardly ever overflows. */
export function bucketCounts({ connections, halfOpen, templates }: TableSizes) {
  return {
    flows4: buckets(2 * connections[4]),
    halves4: buckets(2 * halfOpen[4]),
    templates4: buckets(templates[4]),
    flows6: buckets(2 * connections[6]),
    halves6: buckets(2 * halfOpen[6]),
    templates6: buckets(templates[6]),
  } as const;
}

/** Entries of every map whose size is a setting. */
export function mapEntries(sizes: TableSizes): Readonly<Record<string, number>> {
  const { services, destinations } = sizes;
  const buckets = bucketCounts(sizes);
  return {
    ...buckets,
    groups: Math.ceil(Math.max(...Object.values(buckets)) / bucketsInGroup),
    template_data: (buckets.templates4 + buckets.templates6) * (ways / 2),
    pool: 1 + services + destinations,
    rules: services,
    servers: destinations,
    settings: 1,
    tallies: 1 + services + 2 * destinations,
    traffic: destinations,
    endpoints: services,
    // destinations of firewall marks answer in two protocols
    real_endpoints: 2 * destinations,
    beginners: destinations,
    slot_tables: services,
  };
}

/** Bytes that the kernel holds for it; without what hashes take by entry. @param cpus that there can be */
export function memoryNeeded(sizes: TableSizes, cpus: number): number {
  const { services, destinations } = sizes;
  const flows = Object.entries(bucketCounts(sizes)).map(
    ([name, count]) => count * ways * (name.endsWith('6') ? Flow6.bytes : Flow.bytes),
  );
  return (
    flows.reduce((sum, bytes) => sum + bytes, 0) +
    Pool.bytes(sizes) +
    services * (Rules.bytes + Traffic.bytes) +
    destinations * (Server.bytes + Traffic.bytes * (2 + cpus)) +
    Settings.bytes
  );
}

/** A power of two. */
function buckets(slots: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, (2 * slots) / ways)));
}
