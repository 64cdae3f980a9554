/** How much room there is in maps that are pinned, and how much there is to be in new ones. */
import { existsSync } from 'node:fs';
import { BpfMap } from '../../platform/bpf/bpf-map.ts';
import type { Pins } from './pins.ts';
import type { TableSizes } from './table-sizes.ts';
import { defaultSizes } from './table-sizes.ts';

/** @param connections of IPv4; of IPv6 there is room for a quarter, as for what is half open, and for templates */
export function sizesFor(connections = defaultSizes.connections[4]): TableSizes {
  const share = connections / defaultSizes.connections[4];
  const scaled = (sizes: TableSizes['connections']): TableSizes['connections'] => ({
    4: Math.ceil(sizes[4] * share),
    6: Math.ceil(sizes[6] * share),
  });
  return {
    ...defaultSizes,
    connections: scaled(defaultSizes.connections),
    halfOpen: scaled(defaultSizes.halfOpen),
    templates: scaled(defaultSizes.templates),
  };
}

/** The inverse of {@link bucketCounts} and its like; undefined when a map is missing. */
export function pinnedSizes(pins: Pick<Pins, 'map'>): TableSizes | undefined {
  const names = ['rules', 'servers', 'flows4', 'halves4', 'templates4', 'flows6', 'halves6', 'templates6'];
  if (!names.every((name) => existsSync(pins.map(name)))) return undefined;
  const room = (name: string): number => {
    const map = BpfMap.openPinned(pins.map(name));
    map.close();
    return map.maxEntries;
  };
  return {
    services: room('rules'),
    destinations: room('servers'),
    connections: { 4: room('flows4'), 6: room('flows6') },
    halfOpen: { 4: room('halves4'), 6: room('halves6') },
    templates: { 4: 2 * room('templates4'), 6: 2 * room('templates6') },
  };
}
