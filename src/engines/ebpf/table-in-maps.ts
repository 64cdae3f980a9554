/**
 * Reads the virtual-service table back from the maps that a daemon before this one has filled. What it had not finished when it died is
 * taken out of the pool.
 */
import type { DestinationSettings } from '../../director/table.ts';
import { destinationKey } from '../../director/table.ts';
import type { Pool, PoolSize } from '../../scheduling/pool.ts';
import { NONE } from '../../scheduling/pool.ts';
import type { Deleted, PoolDestination, PoolService } from '../pool-table.ts';
import type { ServerRecords } from './server-records.ts';
import type { ServiceRules } from './service-rules.ts';

export interface TableInMaps {
  /** In the order in which they were added. */
  readonly services: readonly PoolService[];
  readonly deleted: readonly Deleted[];
}

export function tableInMaps(
  pool: Pool,
  { services: serviceSlots, destinations: destinationSlots }: PoolSize,
  rules: ServiceRules,
  servers: ServerRecords,
): TableInMaps {
  const found: { readonly serial: number; readonly service: PoolService }[] = [];
  for (let slot = 0; slot < serviceSlots; slot++) {
    if (!pool.isService(slot)) continue;
    const known = rules.read(slot, pool);
    if (known === undefined) {
      for (let d = pool.head(slot); d !== NONE; d = pool.head(slot)) pool.unlink(d);
      pool.removeService(slot);
      continue;
    }
    const { id, settings, serial } = known;
    found.push({ serial, service: { id, slot, settings, destinations: destinationsOf(slot) } });
  }
  found.sort((one, other) => one.serial - other.serial);
  const services = found.map(({ service }) => service);
  return { services, deleted: deleted() };

  /** The map is oldest first, the pool's list newest first. */
  function destinationsOf(service: number): Map<string, PoolDestination> {
    const list: PoolDestination[] = [];
    for (let d = pool.head(service), next: number; d !== NONE; d = next) {
      next = pool.next(d);
      const destination = destinationAt(d);
      if (destination === undefined || servers.serial(d) !== rules.serial(service)) pool.unlink(d);
      else list.push(destination);
    }
    return new Map(list.reverse().map((destination) => [destinationKey(destination.id), destination]));
  }

  function destinationAt(slot: number): PoolDestination | undefined {
    const destination = servers.read(slot, pool);
    if (destination === undefined) return undefined;
    const { id, ...settings } = destination;
    return { id, slot, settings: settings satisfies DestinationSettings };
  }

  /** Connections still refer to them. Of a service that left they are known as long as nobody else got its slot. */
  function deleted(): readonly Deleted[] {
    const present = new Map(found.map(({ serial, service }) => [serial, service]));
    const slots = rules.bySerial();
    const list: Deleted[] = [];
    for (let slot = 0; slot < destinationSlots; slot++) {
      if (pool.available(slot) || !pool.isDestination(slot)) continue;
      const serial = servers.serial(slot);
      const destination = destinationAt(slot);
      const at = slots.get(serial);
      if (destination === undefined || at === undefined) continue;
      const service = present.get(serial) ?? formerService(at);
      if (service !== undefined) list.push({ service, destination });
    }
    return list;
  }

  function formerService(slot: number): PoolService | undefined {
    const known = rules.read(slot, pool);
    return known && { id: known.id, slot, settings: known.settings, destinations: new Map() };
  }
}
