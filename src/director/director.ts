/**
 * The director: the table of virtual services and the only way to change it. It refuses what IPVS refuses, with the
 * same error numbers in the same order, and hands each verb that it applied on, so that an engine can follow.
 */
import type { Address } from '../util/ip.ts';
import { ServiceEntry } from './service-entry.ts';
import { SyncDaemons } from './sync-daemons.ts';
import type {
  DestinationId,
  DestinationSettings,
  ServiceId,
  ServiceSettings,
  SyncDaemon,
  Timeouts,
  VirtualService,
} from './table.ts';
import { defaultTimeouts, destinationKey, serviceKey } from './table.ts';
import { checkDestinationSettings, checkFamily, checkService, checkUnicast, isMixed } from './validation.ts';
import type { DirectorVerbs, Verb } from './verbs.ts';
import { DirectorError } from './verbs.ts';

export interface DirectorOptions {
  /** Called after each verb that was applied, with who asked for it. */
  applied(verb: Verb, by: string): void;
  /** MTU in bytes of a network interface, undefined when there is none of that name. Without it no sync daemon starts. */
  mtu?(networkInterface: string): number | undefined;
  /** Whether an IPv4 address is the broadcast address of a network that this host is on: no destination can be there. */
  isBroadcast?(address: Address): boolean;
}

export class Director implements DirectorVerbs {
  readonly #applied: (verb: Verb, by: string) => void;
  readonly #isBroadcast: (address: Address) => boolean;
  readonly #services = new Map<string, ServiceEntry>();
  readonly #daemons: SyncDaemons;
  #timeouts = defaultTimeouts;
  /** Tunnelled destinations of another address family than their service's: connection sync cannot express them. */
  #mixed = 0;

  constructor(options: DirectorOptions) {
    this.#applied = (verb, by) => {
      options.applied(verb, by);
    };
    this.#isBroadcast = (address) => options.isBroadcast?.(address) ?? false;
    this.#daemons = new SyncDaemons((networkInterface) => options.mtu?.(networkInterface));
  }

  apply(verb: Verb, by: string): void {
    this.#change(verb);
    this.#applied(verb, by);
  }

  find(service: ServiceId): VirtualService | undefined {
    return this.#services.get(serviceKey(service))?.snapshot();
  }

  services(): readonly VirtualService[] {
    return Array.from(this.#services.values(), (service) => service.snapshot());
  }

  timeouts(): Timeouts {
    return this.#timeouts;
  }

  /** Running sync daemons, master first. */
  syncDaemons(): readonly SyncDaemon[] {
    return this.#daemons.list();
  }

  #change(verb: Verb): void {
    switch (verb.verb) {
      case 'add-service':
        this.#addService(verb.service, verb.settings);
        return;
      case 'edit-service':
        this.#editService(verb.service, verb.settings);
        return;
      case 'delete-service':
        this.#deleteService(verb.service);
        return;
      case 'add-destination':
        this.#addDestination(verb.service, verb.destination, verb.settings);
        return;
      case 'edit-destination':
        this.#editDestination(verb.service, verb.destination, verb.settings);
        return;
      case 'delete-destination':
        this.#deleteDestination(verb.service, verb.destination);
        return;
      case 'flush':
        this.#services.clear();
        this.#mixed = 0;
        return;
      case 'zero':
        if (verb.service !== undefined) this.#require(verb.service);
        return;
      case 'set-timeouts':
        this.#setTimeouts(verb.timeouts);
        return;
      case 'start-daemon':
        if (this.#mixed > 0) throw new DirectorError('EINVAL', 'sync does not go with mixed-family tunnels');
        this.#daemons.start(verb.daemon);
        return;
      case 'stop-daemon':
        this.#daemons.stop(verb.role);
        return;
    }
  }

  #addService(id: ServiceId, settings: ServiceSettings): void {
    const key = serviceKey(id);
    if (this.#services.has(key)) throw new DirectorError('EEXIST', `service ${key} exists already`);
    checkService(id, settings);
    this.#services.set(key, new ServiceEntry(id, settings));
  }

  #editService(id: ServiceId, settings: ServiceSettings): void {
    const service = this.#require(id);
    checkService(id, settings);
    service.edit(settings);
  }

  #deleteService(id: ServiceId): void {
    for (const destination of this.#require(id).destinations()) this.#countMixed(id, destination.id, -1);
    this.#services.delete(serviceKey(id));
  }

  #addDestination(serviceId: ServiceId, id: DestinationId, settings: DestinationSettings): void {
    const service = this.#require(serviceId);
    this.#checkFamily(serviceId, id, settings);
    checkDestinationSettings(id, settings);
    if (service.has(id)) {
      throw new DirectorError(
        'EEXIST',
        `${serviceKey(serviceId)}: destination ${destinationKey(id)} exists already`,
      );
    }
    checkUnicast(id, this.#isBroadcast);
    service.add(id, settings);
    this.#countMixed(serviceId, id, 1);
  }

  #editDestination(serviceId: ServiceId, id: DestinationId, settings: DestinationSettings): void {
    const service = this.#require(serviceId);
    this.#checkFamily(serviceId, id, settings);
    checkDestinationSettings(id, settings);
    service.replace(id, settings);
  }

  #deleteDestination(serviceId: ServiceId, id: DestinationId): void {
    this.#require(serviceId).remove(id);
    this.#countMixed(serviceId, id, -1);
  }

  #checkFamily(service: ServiceId, id: DestinationId, settings: DestinationSettings): void {
    checkFamily(service, id, settings);
    if (isMixed(service, id) && this.#daemons.size > 0) {
      throw new DirectorError('EINVAL', 'mixed-family tunnels do not go with a running sync daemon');
    }
  }

  #setTimeouts({ tcp, tcpFin, udp }: Timeouts): void {
    const now = this.#timeouts;
    this.#timeouts = { tcp: tcp || now.tcp, tcpFin: tcpFin || now.tcpFin, udp: udp || now.udp };
  }

  #countMixed(service: ServiceId, destination: DestinationId, change: 1 | -1): void {
    if (isMixed(service, destination)) this.#mixed += change;
  }

  #require(id: ServiceId): ServiceEntry {
    const service = this.#services.get(serviceKey(id));
    if (service === undefined) throw new DirectorError('ESRCH', `no service ${serviceKey(id)}`);
    return service;
  }
}
