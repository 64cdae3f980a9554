/**
 * A forwarder's copy of the virtual-service table: turns verbs into pool slots and tells its engine what changed. A
 * deleted destination keeps its slot while connections refer to it (IPVS's trash), so that adding it again revives them.
 */
import type {
  DestinationId,
  DestinationSettings,
  ServiceId,
  ServiceSettings,
  Timeouts,
} from '../director/table.ts';
import { destinationKey, serviceKey } from '../director/table.ts';
import type { Verb } from '../director/verbs.ts';
import type { Pool, PoolSize } from '../scheduling/pool.ts';
import { NONE } from '../scheduling/pool.ts';
import { schedulerAt, schedulerIndex } from '../scheduling/registry.ts';
import type { Engine } from './engine.ts';

export interface PoolDestination {
  readonly id: DestinationId;
  /** In the pool. */
  readonly slot: number;
  settings: DestinationSettings;
}

export interface PoolService {
  readonly id: ServiceId;
  /** In the pool. */
  readonly slot: number;
  settings: ServiceSettings;
  /** By address and port. */
  readonly destinations: Map<string, PoolDestination>;
}

/** A destination in the trash. */
export interface Deleted {
  readonly service: PoolService;
  readonly destination: PoolDestination;
}

/** What an engine hangs its own things on. All but {@link applied} are called under the pool's lock. */
export interface PoolTableEvents {
  /** Why the engine cannot forward for a service or destination. Such a destination is in the pool, but never picked. */
  readonly refusal: Engine['refuses'];
  /** For messages: `relay`, `packet`. */
  readonly engine: string;
  timeouts(timeouts: Timeouts): void;
  problem(message: string): void;
  /** A slot starts a new life: what was counted for it before is not its own. */
  slotTaken(kind: 'service' | 'destination', slot: number): void;
  /** Undefined: all services. */
  zeroed(service: PoolService | undefined): void;
  /** It has no destination yet. */
  serviceAdded(service: PoolService): void;
  serviceEdited(service: PoolService, before: ServiceSettings): void;
  /** It is about to lose its destinations, and to leave. For who shares the pool with somebody that does not wait for the lock. */
  serviceLeaves?(service: PoolService): void;
  /** Its destinations have left before; it leaves after this. */
  serviceRemoved(service: PoolService): void;
  /** Like {@link destinationSet}, before it can be picked: for who shares the pool with somebody that does not wait for the lock. */
  destinationComes?(service: PoolService, destination: PoolDestination, revived: boolean): void;
  /** Added, revived (connections of its earlier life still refer to it), or edited. */
  destinationSet(service: PoolService, destination: PoolDestination, revived: boolean): void;
  /** @param held connections still refer to it */
  destinationRemoved(service: PoolService, destination: PoolDestination, held: boolean): void;
  /** All verbs of one {@link PoolTable.apply} are in the pool. `touched` may have services that were deleted again. */
  applied(touched: ReadonlySet<PoolService>): void;
}

export class PoolTable {
  readonly #pool: Pool;
  readonly #size: PoolSize;
  readonly #events: PoolTableEvents;
  readonly #services = new Map<string, PoolService>();
  readonly #bySlot = new Map<number, PoolService>();
  /** Deleted destinations by service and address, as long as connections refer to them. */
  readonly #trash = new Map<string, Deleted>();

  constructor(pool: Pool, size: PoolSize, events: PoolTableEvents) {
    this.#pool = pool;
    this.#size = size;
    this.#events = events;
  }

  /** Instead of verbs: takes over what is in the pool already. No event tells of it. Of services in the order they were added. */
  adopt(services: readonly PoolService[], deleted: readonly Deleted[]): void {
    for (const service of services) {
      this.#services.set(serviceKey(service.id), service);
      this.#bySlot.set(service.slot, service);
    }
    for (const each of deleted)
      this.#trash.set(trashKey(each.service, destinationKey(each.destination.id)), each);
  }

  services(): Iterable<PoolService> {
    return this.#services.values();
  }

  service(slot: number): PoolService | undefined {
    return this.#bySlot.get(slot);
  }

  /** Name of a destination slot for a log line: `10.2.0.11:80 of tcp:10.1.0.100:80`. */
  nameOf(slot: number): string {
    const service = this.#bySlot.get(this.#pool.serviceOf(slot));
    for (const [key, destination] of service?.destinations ?? []) {
      if (destination.slot === slot)
        return `${key} of ${service === undefined ? '' : serviceKey(service.id)}`;
    }
    return 'a deleted destination';
  }

  /** Applies verbs as one change: no connection is scheduled between them. */
  apply(verbs: readonly Verb[]): void {
    this.#pool.lock();
    const touched = new Set<PoolService>();
    try {
      for (const verb of verbs) this.#apply(verb, touched);
    } finally {
      this.#pool.unlock();
    }
    this.#events.applied(touched);
    this.forgetRemains();
  }

  #apply(verb: Verb, touched: Set<PoolService>): void {
    switch (verb.verb) {
      case 'add-service':
        this.#addService(verb.service, verb.settings, touched);
        break;
      case 'flush':
        for (const service of [...this.#services.values()]) this.#deleteService(service);
        break;
      case 'set-timeouts':
        this.#events.timeouts(verb.timeouts);
        break;
      case 'start-daemon':
      case 'stop-daemon':
        // Connection synchronisation is the director's state only; no engine of this kind has it.
        break;
      case 'zero':
        if (verb.service === undefined) this.#events.zeroed(undefined);
        else
          this.#with(verb.service, (service) => {
            this.#events.zeroed(service);
          });
        break;
      case 'edit-service':
        this.#with(verb.service, (service) => {
          this.#editService(service, verb.settings);
          touched.add(service);
        });
        break;
      case 'delete-service':
        this.#with(verb.service, (service) => {
          this.#deleteService(service);
        });
        break;
      case 'add-destination':
        this.#with(verb.service, (service) => {
          this.#addDestination(service, verb.destination, verb.settings);
          touched.add(service);
        });
        break;
      case 'edit-destination':
        this.#with(verb.service, (service) => {
          const destination = service.destinations.get(destinationKey(verb.destination));
          if (destination !== undefined) this.#setDestination(service, destination, verb.settings, false);
          touched.add(service);
        });
        break;
      case 'delete-destination':
        this.#with(verb.service, (service) => {
          const destination = service.destinations.get(destinationKey(verb.destination));
          if (destination !== undefined) this.#deleteDestination(service, destination);
          touched.add(service);
        });
        break;
    }
  }

  #with(id: ServiceId, change: (service: PoolService) => void): void {
    const service = this.#services.get(serviceKey(id));
    if (service !== undefined) change(service);
  }

  #addService(id: ServiceId, settings: ServiceSettings, touched: Set<PoolService>): void {
    const slot = this.#pool.addService(scheduler(settings), settings.schedulerFlags);
    if (slot === NONE) {
      this.#full('services', this.#size.services, serviceKey(id));
      return;
    }
    this.#events.slotTaken('service', slot);
    const service: PoolService = { id, slot, settings, destinations: new Map() };
    this.#services.set(serviceKey(id), service);
    this.#bySlot.set(slot, service);
    schedulerAt(this.#pool.scheduler(slot)).attached(this.#pool, slot);
    touched.add(service);
    this.#events.serviceAdded(service);
  }

  #editService(service: PoolService, settings: ServiceSettings): void {
    const { slot, settings: before } = service;
    const scheduledBy = this.#pool.scheduler(slot);
    service.settings = settings;
    this.#pool.editService(slot, scheduler(settings), settings.schedulerFlags);
    if (scheduledBy !== scheduler(settings)) schedulerAt(scheduler(settings)).attached(this.#pool, slot);
    this.#events.serviceEdited(service, before);
  }

  #deleteService(service: PoolService): void {
    this.#events.serviceLeaves?.(service);
    for (const destination of [...service.destinations.values()])
      this.#deleteDestination(service, destination);
    this.#events.serviceRemoved(service);
    this.#pool.removeService(service.slot);
    this.#services.delete(serviceKey(service.id));
    this.#bySlot.delete(service.slot);
  }

  #addDestination(service: PoolService, id: DestinationId, settings: DestinationSettings): void {
    const key = destinationKey(id);
    const inTrash = trashKey(service, key);
    const trashed = this.#trash.get(inTrash);
    const revived = trashed?.destination;
    const slot = revived?.slot ?? this.#pool.addDestination(service.slot, id.address, id.port);
    if (slot === NONE) {
      this.#full('destinations', this.#size.destinations, key);
      return;
    }
    if (revived === undefined) {
      this.#forgetSlot(slot);
      this.#events.slotTaken('destination', slot);
    } else this.#pool.link(service.slot, slot);
    // what it did for an earlier service of that name is not counted for this one
    if (trashed !== undefined && trashed.service !== service) this.#events.slotTaken('destination', slot);
    this.#trash.delete(inTrash);
    const destination = { id, slot, settings };
    service.destinations.set(key, destination);
    this.#setDestination(service, destination, settings, revived !== undefined);
  }

  #setDestination(
    service: PoolService,
    destination: PoolDestination,
    settings: DestinationSettings,
    revived: boolean,
  ): void {
    destination.settings = settings;
    this.#events.destinationComes?.(service, destination, revived);
    this.#pool.setDestination(destination.slot, {
      weight: settings.weight,
      upper: settings.upperThreshold,
      lower: settings.lowerThreshold,
      barred: this.#events.refusal(service.id, service.settings, settings) !== undefined,
    });
    schedulerAt(this.#pool.scheduler(service.slot)).changed(this.#pool, service.slot);
    this.#events.destinationSet(service, destination, revived);
  }

  #deleteDestination(service: PoolService, destination: PoolDestination): void {
    const { slot } = destination;
    const scheduledBy = schedulerAt(this.#pool.scheduler(service.slot));
    scheduledBy.removing(this.#pool, service.slot, slot);
    this.#pool.unlink(slot);
    scheduledBy.changed(this.#pool, service.slot);
    const key = destinationKey(destination.id);
    service.destinations.delete(key);
    const held = this.#pool.referenced(slot);
    if (held) this.#trash.set(trashKey(service, key), { service, destination });
    this.#events.destinationRemoved(service, destination, held);
  }

  /** The pool gave the slot of a deleted destination to a new one: its last connection has just ended. */
  #forgetSlot(slot: number): void {
    for (const [key, { destination }] of this.#trash) if (destination.slot === slot) this.#trash.delete(key);
  }

  /** Forgets deleted destinations that no connection refers to any more: their slots are the pool's to give away. */
  forgetRemains(): void {
    for (const [key, { destination }] of this.#trash) {
      if (!this.#pool.referenced(destination.slot)) this.#trash.delete(key);
    }
  }

  #full(what: string, most: number, name: string): void {
    this.#events.problem(
      `the ${this.#events.engine} engine holds at most ${most} ${what}; no traffic for ${name}`,
    );
  }
}

/** @param destination its key */
function trashKey(service: PoolService, destination: string): string {
  return `${serviceKey(service.id)} ${destination}`;
}

/** A scheduler that this version does not have is refused with a message elsewhere; here it chooses nobody. */
function scheduler(settings: ServiceSettings): number {
  return schedulerIndex(settings.scheduler) ?? schedulerIndex('none') ?? 1;
}
