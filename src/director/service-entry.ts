/**
 * One virtual service inside the director: the changing counterpart of {@link VirtualService}. Destinations are kept
 * by key, so that an edit costs the same with ten as with ten thousand; readers get an unchanging snapshot.
 */
import type {
  Destination,
  DestinationId,
  DestinationSettings,
  ServiceId,
  ServiceSettings,
  VirtualService,
} from './table.ts';
import { destinationKey, serviceKey } from './table.ts';
import { DirectorError } from './verbs.ts';

export class ServiceEntry {
  readonly id: ServiceId;
  #settings: ServiceSettings;
  /** Oldest first: a Map keeps the place of a value that is replaced, as the kernel does on an edit. */
  readonly #destinations = new Map<string, Destination>();
  #snapshot: VirtualService | undefined;

  constructor(id: ServiceId, settings: ServiceSettings) {
    this.id = id;
    this.#settings = settings;
  }

  /** The same object until the service changes. */
  snapshot(): VirtualService {
    this.#snapshot ??= {
      id: this.id,
      settings: this.#settings,
      destinations: [...this.#destinations.values()].reverse(),
    };
    return this.#snapshot;
  }

  edit(settings: ServiceSettings): void {
    this.#settings = settings;
    this.#snapshot = undefined;
  }

  add(id: DestinationId, settings: DestinationSettings): void {
    this.#destinations.set(destinationKey(id), { id, ...settings });
    this.#snapshot = undefined;
  }

  /** ENOENT when it is not there. Keeps its place. */
  replace(id: DestinationId, settings: DestinationSettings): void {
    this.require(id);
    this.add(id, settings);
  }

  /** ENOENT when it is not there. */
  remove(id: DestinationId): void {
    this.require(id);
    this.#destinations.delete(destinationKey(id));
    this.#snapshot = undefined;
  }

  has(id: DestinationId): boolean {
    return this.#destinations.has(destinationKey(id));
  }

  destinations(): Iterable<Destination> {
    return this.#destinations.values();
  }

  require(id: DestinationId): void {
    if (!this.has(id)) {
      throw new DirectorError('ENOENT', `${serviceKey(this.id)}: no destination ${destinationKey(id)}`);
    }
  }
}
