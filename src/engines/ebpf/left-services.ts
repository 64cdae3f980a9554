/** Which virtual services are in a table that is pinned, whether or not a daemon runs. */
import type { ServiceId } from '../../director/table.ts';
import { BpfMap } from '../../platform/bpf/bpf-map.ts';
import { Pool } from '../../scheduling/pool.ts';
import { pinnedSizes } from './pinned-table.ts';
import type { Pins } from './pins.ts';
import { ServiceRules } from './service-rules.ts';

/** @returns undefined where it cannot be told: there are only tables of other layouts, or one that was never finished */
export function servicesIn(pins: Pick<Pins, 'map'>): readonly ServiceId[] | undefined {
  const size = pinnedSizes(pins);
  if (size === undefined) return undefined;
  const maps = ['pool', 'rules'].map((name) => BpfMap.openPinned(pins.map(name)));
  try {
    const [pool, rules] = maps.map((map) => map.view()) as [ArrayBuffer, ArrayBuffer];
    return found(new Pool(pool, size), new ServiceRules(rules, size.services), size.services);
  } finally {
    for (const map of maps) map.close();
  }
}

function found(pool: Pool, rules: ServiceRules, slots: number): readonly ServiceId[] {
  const services: ServiceId[] = [];
  for (let slot = 0; slot < slots; slot++) {
    const known = pool.isService(slot) ? rules.read(slot, pool) : undefined;
    if (known !== undefined) services.push(known.id);
  }
  return services;
}
