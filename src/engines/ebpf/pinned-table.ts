/** What maps that are pinned have room for, and what is in them; and how much room there is to be in new ones. */
import { existsSync } from 'node:fs';
import { BpfMap } from '../../platform/bpf/bpf-map.ts';
import type { Pins } from './pins.ts';
import type { TableSizes } from './table-sizes.ts';
import { defaultSizes } from './table-sizes.ts';
import { Settings } from './layout.ts';

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

/** Slots that connections take: of one by NAT two. Undefined where it cannot be told, of maps of another layout. */
export function pinnedConnections(pins: Pick<Pins, 'map'>): number | undefined {
  if (!existsSync(pins.map('settings'))) return 0;
  const value = pinnedSettings(pins);
  if (value === undefined) return undefined;
  return connectionTables.reduce((sum, table) => sum + value.readUInt32LE(Settings.used + 4 * table), 0);
}

/** Whether a daemon has changed `accept_local` for them; of maps of another layout as far as can be told. */
export function pinnedOwnPackets(pins: Pick<Pins, 'map'>): boolean {
  return (pinnedSettings(pins)?.readUInt32LE(Settings.ownPackets) ?? 0) !== 0;
}

/** Undefined when there are none, or they are not as they are here. */
function pinnedSettings(pins: Pick<Pins, 'map'>): Buffer | undefined {
  if (!existsSync(pins.map('settings'))) return undefined;
  const settings = BpfMap.openPinned(pins.map('settings'));
  const value = settings.lookup(Buffer.alloc(4));
  settings.close();
  return value?.length === Settings.bytes ? value : undefined;
}

/** Full and half-open ones of IPv4, then of IPv6; templates are no connections. */
const connectionTables = [0, 1, 3, 4];
