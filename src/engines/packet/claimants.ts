/**
 * Who claims packets: the services, and what is left of deleted ones while connections refer to their destinations. As with IPVS,
 * nobody claims anything in an address family that has no service at all.
 */
import type { ServiceId } from '../../director/table.ts';
import { destinationKey, serviceFamily, serviceKey } from '../../director/table.ts';
import type { Family } from '../../util/ip.ts';
import type { PoolDestination, PoolService } from '../pool-table.ts';
import type { Claimant } from './claims.ts';

/** Of a deleted service or destination: connections that nobody else may answer. */
interface Remains {
  readonly id: ServiceId;
  readonly persistent: boolean;
  readonly destinations: Map<string, PoolDestination>;
}

export class Claimants {
  readonly #services = new Map<string, PoolService>();
  readonly #remains = new Map<string, Remains>();
  readonly #inFamily: Record<Family, number> = { inet: 0, inet6: 0 };
  /** Keys of services that changed since the last look. */
  readonly #touched = new Set<string>();

  /** Whether anybody claims anything. */
  get isEmpty(): boolean {
    return this.#services.size === 0;
  }

  /** Added or edited. */
  serviceSet(service: PoolService): void {
    const key = serviceKey(service.id);
    if (!this.#services.has(key)) this.#countFamily(service.id, 1);
    this.#services.set(key, service);
    this.#touched.add(key);
  }

  serviceRemoved({ id }: PoolService): void {
    const key = serviceKey(id);
    this.#services.delete(key);
    this.#countFamily(id, -1);
    this.#touched.add(key);
  }

  destinationSet(service: PoolService, destination: PoolDestination): void {
    const key = serviceKey(service.id);
    this.#remains.get(key)?.destinations.delete(destinationKey(destination.id));
    this.#touched.add(key);
  }

  /** @param held - connections still refer to it */
  destinationRemoved({ id, settings }: PoolService, destination: PoolDestination, held: boolean): void {
    const key = serviceKey(id);
    this.#touched.add(key);
    if (!held) return;
    const remains = this.#remains.get(key) ?? {
      id,
      persistent: settings.persistence > 0,
      destinations: new Map<string, PoolDestination>(),
    };
    remains.destinations.set(destinationKey(destination.id), destination);
    this.#remains.set(key, remains);
  }

  /** Forgets deleted destinations that nothing refers to any more. @returns whether there were any */
  forget(isFree: (slot: number) => boolean): boolean {
    let forgotten = false;
    for (const [key, { destinations }] of this.#remains) {
      for (const [name, { slot }] of destinations) {
        if (!isFree(slot)) continue;
        destinations.delete(name);
        this.#touched.add(key);
        forgotten = true;
      }
      if (destinations.size === 0) this.#remains.delete(key);
    }
    return forgotten;
  }

  /** The claimants that changed since the last call, each with what it is now; undefined when it claims nothing any more. */
  *takeChanged(): Iterable<readonly [name: string, claimant: Claimant | undefined]> {
    for (const key of this.#touched) {
      const service = this.#services.get(key);
      yield [key, service && claimant(service.id, service.settings.persistence > 0, service.destinations)];
      const remains = this.#remains.get(key);
      const claims = remains !== undefined && this.#inFamily[serviceFamily(remains.id)] > 0;
      yield [
        `what is left of ${key}`,
        claims ? claimant(remains.id, remains.persistent, remains.destinations) : undefined,
      ];
    }
    this.#touched.clear();
  }

  /** The first service of a family brings the remains of that family back into force, the last takes them along. */
  #countFamily(id: ServiceId, change: 1 | -1): void {
    const family = serviceFamily(id);
    const before = this.#inFamily[family];
    this.#inFamily[family] = before + change;
    if (before > 0 && before + change > 0) return;
    for (const [key, remains] of this.#remains)
      if (serviceFamily(remains.id) === family) this.#touched.add(key);
  }
}

function claimant(
  id: ServiceId,
  persistent: boolean,
  destinations: ReadonlyMap<string, PoolDestination>,
): Claimant {
  return { id, persistent, destinations: destinations.values() };
}
