/**
 * The forwarder's copy of the virtual-service table: turns verbs into pool slots, and says which sockets the threads must
 * have open and whose connections they must hold. A deleted destination keeps its slot while connections refer to it, so
 * that adding it again revives them, as IPVS does.
 */
import type { DestinationId, DestinationSettings, ServiceId, ServiceSettings } from '../../director/table.ts';
import { destinationKey, serviceKey } from '../../director/table.ts';
import type { Verb } from '../../director/verbs.ts';
import type { Pool, PoolSize } from '../../scheduling/pool.ts';
import { NONE } from '../../scheduling/pool.ts';
import { schedulerAt, schedulerIndex } from '../../scheduling/registry.ts';
import { refusal } from './refusal.ts';
import type { ListenerSpec, ToThread } from './protocol.ts';

const FTP = 21;

interface Destination {
  readonly id: DestinationId;
  readonly slot: number;
}

interface Service {
  readonly id: ServiceId;
  readonly slot: number;
  settings: ServiceSettings;
  readonly destinations: Map<string, Destination>;
  /** The threads have its socket open (or are trying). */
  listening: boolean;
}

export interface TableEvents {
  toThreads(message: ToThread): void;
  problem(message: string): void;
  /** It has no destination yet: the moment to find out whether its socket can be had at all. */
  serviceAdded(spec: ListenerSpec): void;
  /** A slot starts a new life: what was counted for it before is not its own. */
  slotTaken(kind: 'service' | 'destination', slot: number): void;
  zeroed(service: Service | undefined): void;
}

export type { Service as RelayService };

export class RelayTable {
  readonly #pool: Pool;
  readonly #size: PoolSize;
  readonly #events: TableEvents;
  readonly #services = new Map<string, Service>();
  readonly #bySlot = new Map<number, Service>();
  /** Deleted destinations by service and address, as long as connections refer to them. */
  readonly #trash = new Map<string, Destination>();

  constructor(pool: Pool, size: PoolSize, events: TableEvents) {
    this.#pool = pool;
    this.#size = size;
    this.#events = events;
  }

  services(): Iterable<Service> {
    return this.#services.values();
  }

  service(slot: number): Service | undefined {
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
    const touched = new Set<Service>();
    try {
      for (const verb of verbs) this.#apply(verb, touched);
    } finally {
      this.#pool.unlock();
    }
    for (const service of touched) this.#openOrClose(service);
    this.#forgetTrash();
  }

  #apply(verb: Verb, touched: Set<Service>): void {
    switch (verb.verb) {
      case 'add-service':
        this.#addService(verb.service, verb.settings, touched);
        break;
      case 'flush':
        for (const service of [...this.#services.values()]) this.#deleteService(service);
        break;
      case 'set-timeouts':
        this.#events.toThreads({ type: 'timeouts', timeouts: verb.timeouts });
        break;
      case 'start-daemon':
      case 'stop-daemon':
        // Connection synchronisation is the director's state only; the relay has no packets to synchronise.
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
          if (destination !== undefined) this.#setDestination(service, destination, verb.settings);
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

  #with(id: ServiceId, change: (service: Service) => void): void {
    const service = this.#services.get(serviceKey(id));
    if (service !== undefined) change(service);
  }

  #addService(id: ServiceId, settings: ServiceSettings, touched: Set<Service>): void {
    const slot = this.#pool.addService(this.#scheduler(settings), settings.schedulerFlags);
    if (slot === NONE) {
      this.#events.problem(
        `the relay holds at most ${this.#size.services} services; no traffic for ${serviceKey(id)}`,
      );
      return;
    }
    this.#events.slotTaken('service', slot);
    const service: Service = { id, slot, settings, destinations: new Map(), listening: false };
    this.#services.set(serviceKey(id), service);
    this.#bySlot.set(slot, service);
    schedulerAt(this.#pool.scheduler(slot)).attached(this.#pool, slot);
    touched.add(service);
    const spec = listenerSpec(service);
    if (spec !== undefined && refusal(id, settings) === undefined) this.#events.serviceAdded(spec);
  }

  /** A scheduler that the relay does not have is refused with a message elsewhere; here it chooses nobody. */
  #scheduler(settings: ServiceSettings): number {
    return schedulerIndex(settings.scheduler) ?? schedulerIndex('none') ?? 1;
  }

  #editService(service: Service, settings: ServiceSettings): void {
    const before = this.#pool.scheduler(service.slot);
    const after = this.#scheduler(settings);
    // What a listener does for new connections is settled when it opens.
    if (listenerChanged(service.settings, settings)) this.#close(service);
    service.settings = settings;
    this.#pool.editService(service.slot, after, settings.schedulerFlags);
    if (before !== after) schedulerAt(after).attached(this.#pool, service.slot);
  }

  #deleteService(service: Service): void {
    for (const destination of [...service.destinations.values()])
      this.#deleteDestination(service, destination);
    this.#close(service);
    this.#pool.removeService(service.slot);
    this.#services.delete(serviceKey(service.id));
    this.#bySlot.delete(service.slot);
  }

  #addDestination(service: Service, id: DestinationId, settings: DestinationSettings): void {
    const key = destinationKey(id);
    const trashKey = `${serviceKey(service.id)} ${key}`;
    const revived = this.#trash.get(trashKey);
    const slot = revived?.slot ?? this.#pool.addDestination(service.slot, id.address, id.port);
    if (slot === NONE) {
      this.#events.problem(
        `the relay holds at most ${this.#size.destinations} destinations; no traffic for ${key}`,
      );
      return;
    }
    if (revived === undefined) {
      this.#forgetSlot(slot);
      this.#events.slotTaken('destination', slot);
    } else this.#pool.link(service.slot, slot);
    this.#trash.delete(trashKey);
    const destination = { id, slot };
    service.destinations.set(key, destination);
    this.#setDestination(service, destination, settings);
    if (revived !== undefined) this.#events.toThreads({ type: 'hold', destination: slot, held: false });
  }

  #setDestination(service: Service, destination: Destination, settings: DestinationSettings): void {
    this.#pool.setDestination(destination.slot, {
      weight: settings.weight,
      upper: settings.upperThreshold,
      lower: settings.lowerThreshold,
      barred: refusal(service.id, service.settings, settings) !== undefined,
    });
    schedulerAt(this.#pool.scheduler(service.slot)).changed(this.#pool, service.slot);
  }

  #deleteDestination(service: Service, destination: Destination): void {
    const scheduler = schedulerAt(this.#pool.scheduler(service.slot));
    scheduler.removing(this.#pool, service.slot, destination.slot);
    this.#pool.unlink(destination.slot);
    scheduler.changed(this.#pool, service.slot);
    const key = destinationKey(destination.id);
    service.destinations.delete(key);
    if (!this.#pool.referenced(destination.slot)) return;
    this.#trash.set(`${serviceKey(service.id)} ${key}`, destination);
    this.#events.toThreads({ type: 'hold', destination: destination.slot, held: true });
  }

  /** The pool gave the slot of a deleted destination to a new one: its last connection has just ended. */
  #forgetSlot(slot: number): void {
    for (const [key, destination] of this.#trash) if (destination.slot === slot) this.#trash.delete(key);
  }

  /** A slot that nothing refers to any more is the pool's to give away. */
  #forgetTrash(): void {
    for (const [key, destination] of this.#trash) {
      if (!this.#pool.referenced(destination.slot)) this.#trash.delete(key);
    }
  }

  /**
   * The socket of a TCP service is open only while somebody can be chosen, so that a client is refused at once
   * otherwise, as by IPVS. The flows of a UDP service, and the clients of a persistent one, may go on to quiescent servers.
   */
  #openOrClose(service: Service): void {
    const wanted = this.#services.get(serviceKey(service.id)) === service && this.#shouldListen(service);
    if (wanted === service.listening) return;
    if (!wanted) {
      this.#close(service);
      return;
    }
    const spec = listenerSpec(service);
    if (spec === undefined) return;
    service.listening = true;
    this.#events.toThreads({ type: 'listen', spec });
  }

  #close(service: Service): void {
    if (service.listening) this.#events.toThreads({ type: 'unlisten', service: service.slot });
    service.listening = false;
  }

  #shouldListen(service: Service): boolean {
    if (refusal(service.id, service.settings) !== undefined) return false;
    const udp = service.id.kind === 'address' && service.id.protocol === 'udp';
    const quiescentToo = udp || service.settings.persistence > 0;
    for (let d = this.#pool.head(service.slot); d !== NONE; d = this.#pool.next(d)) {
      if (!this.#pool.barred(d) && (quiescentToo || this.#pool.weight(d) > 0)) return true;
    }
    return false;
  }
}

function listenerChanged(a: ServiceSettings, b: ServiceSettings): boolean {
  return a.proxyProtocol !== b.proxyProtocol || a.persistence !== b.persistence || a.netmask !== b.netmask;
}

function listenerSpec(service: Service): ListenerSpec | undefined {
  const { id, slot, settings } = service;
  if (id.kind !== 'address' || id.protocol === 'sctp') return undefined;
  const { protocol, address, port } = id;
  const { proxyProtocol, persistence: timeout, netmask } = settings;
  // FTP's data connections follow its control connection.
  const persistent = timeout > 0 ? { timeout, netmask, mark: 0, everyPort: port === FTP } : undefined;
  return { service: slot, protocol, address, port, proxyProtocol, persistent };
}
