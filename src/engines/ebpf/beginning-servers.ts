/** The hash by which BPF programs know real servers that may begin connections, though no client has spoken before. */
import type { BpfMap } from '../../platform/bpf/bpf-map.ts';
import type { PoolDestination, PoolService } from '../pool-table.ts';
import { mayBegin, protocolNumber } from '../service-facts.ts';
import { EndpointNumbers, endpointKey } from './endpoints.ts';

export class BeginningServers {
  readonly #map: EndpointNumbers;
  /** Pool slots by endpoint, the newest last: that one is in the map. */
  readonly #slots = new Map<string, readonly number[]>();
  readonly #endpoints = new Map<number, Buffer>();

  /** @param map `beginners` */
  constructor(map: BpfMap) {
    this.#map = new EndpointNumbers(map);
  }

  /** A destination was added or edited, or its service was. */
  set(service: PoolService, destination: PoolDestination): void {
    const key = keyOf(service, destination);
    const before = this.#endpoints.get(destination.slot);
    if (before !== undefined && key?.equals(before) !== true) this.delete(destination.slot);
    if (key === undefined) return;
    this.#add(key, destination.slot);
    this.#map.set(key, destination.slot);
  }

  /** Does nothing where it is not. */
  delete(slot: number): void {
    const key = this.#endpoints.get(slot);
    if (key === undefined) return;
    this.#endpoints.delete(slot);
    const others = this.#others(key, slot);
    const newest = others.at(-1);
    if (newest === undefined) {
      this.#slots.delete(nameOf(key));
      this.#map.delete(key);
    } else {
      this.#slots.set(nameOf(key), others);
      this.#map.set(key, newest);
    }
  }

  /** These services' and no others. */
  replace(services: Iterable<PoolService>): void {
    this.#slots.clear();
    this.#endpoints.clear();
    for (const service of services) {
      for (const destination of service.destinations.values()) {
        const key = keyOf(service, destination);
        if (key !== undefined) this.#add(key, destination.slot);
      }
    }
    this.#map.replace(
      Array.from(this.#slots.values(), (slots) => {
        const newest = slots.at(-1) as number;
        return [this.#endpoints.get(newest) as Buffer, newest] as const;
      }),
    );
  }

  #add(key: Buffer, slot: number): void {
    this.#endpoints.set(slot, key);
    this.#slots.set(nameOf(key), [...this.#others(key, slot), slot]);
  }

  #others(key: Buffer, slot: number): readonly number[] {
    return (this.#slots.get(nameOf(key)) ?? []).filter((other) => other !== slot);
  }
}

function keyOf({ id, settings }: PoolService, destination: PoolDestination): Buffer | undefined {
  if (id.kind !== 'address' || !mayBegin(id, settings, destination.settings)) return undefined;
  return endpointKey(destination.id.address, destination.id.port, protocolNumber(id.protocol));
}

function nameOf(key: Buffer): string {
  return key.toString('latin1');
}
