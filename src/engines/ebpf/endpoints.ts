/**
 * The hashes by which BPF programs find a service by where a packet goes, and know who is a real server. What they hold follows from
 * the table; after a daemon died amid a change they are put right.
 */
import type { DestinationId, ServiceId } from '../../director/table.ts';
import { serviceFamily } from '../../director/table.ts';
import type { BpfMap } from '../../platform/bpf/bpf-map.ts';
import type { Address } from '../../util/ip.ts';
import { addressBytes, familyOf } from '../../util/ip.ts';
import { protocolNumber, protocolsOf } from '../service-facts.ts';
import { Endpoint } from './layout.ts';

/** A hash of 32-bit numbers by endpoint, and what it should hold. */
export class EndpointNumbers {
  readonly #map: BpfMap;
  readonly #numbers = new Map<string, number>();

  constructor(map: BpfMap) {
    this.#map = map;
  }

  get(key: Buffer): number | undefined {
    return this.#numbers.get(key.toString('latin1'));
  }

  set(key: Buffer, value: number): void {
    this.#numbers.set(key.toString('latin1'), value);
    this.#map.update(key, numberBytes(value));
  }

  delete(key: Buffer): void {
    this.#numbers.delete(key.toString('latin1'));
    this.#map.delete(key);
  }

  /** Makes the map hold these and no others. */
  replace(numbers: Iterable<readonly [key: Buffer, value: number]>): void {
    this.#numbers.clear();
    for (const [key, value] of numbers) this.#numbers.set(key.toString('latin1'), value);
    const right = new Set<string>();
    const wrong: Buffer[] = [];
    for (const [key, value] of this.#map.entries()) {
      const name = key.toString('latin1');
      const wanted = this.#numbers.get(name);
      if (wanted === value.readUInt32LE()) right.add(name);
      else if (wanted === undefined) wrong.push(Buffer.from(key));
    }
    for (const key of wrong) this.#map.delete(key);
    for (const [name, value] of this.#numbers)
      if (!right.has(name)) this.#map.update(Buffer.from(name, 'latin1'), numberBytes(value));
  }
}

/** Virtual services: the pool slot by endpoint or firewall mark. */
export class ServiceEndpoints {
  readonly #slots: EndpointNumbers;

  /** @param map `endpoints` */
  constructor(map: BpfMap) {
    this.#slots = new EndpointNumbers(map);
  }

  set(id: ServiceId, slot: number): void {
    this.#slots.set(serviceKeyBytes(id), slot);
  }

  /** Does nothing where it is not. */
  delete(id: ServiceId): void {
    const key = serviceKeyBytes(id);
    if (this.#slots.get(key) !== undefined) this.#slots.delete(key);
  }

  replace(services: Iterable<{ readonly id: ServiceId; readonly slot: number }>): void {
    this.#slots.replace(Array.from(services, ({ id, slot }) => [serviceKeyBytes(id), slot] as const));
  }
}

/** Real servers: how many destinations share each endpoint. */
export class RealEndpoints {
  readonly #counts: EndpointNumbers;

  /** @param map `real_endpoints` */
  constructor(map: BpfMap) {
    this.#counts = new EndpointNumbers(map);
  }

  add(service: ServiceId, id: DestinationId): void {
    for (const key of realKeys(service, id)) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  remove(service: ServiceId, id: DestinationId): void {
    for (const key of realKeys(service, id)) {
      const count = (this.#counts.get(key) ?? 0) - 1;
      if (count > 0) this.#counts.set(key, count);
      else this.#counts.delete(key);
    }
  }

  replace(destinations: Iterable<{ readonly service: ServiceId; readonly id: DestinationId }>): void {
    const counts = new Map<string, number>();
    for (const { service, id } of destinations)
      for (const key of realKeys(service, id)) {
        const name = key.toString('latin1');
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    this.#counts.replace(
      Array.from(counts, ([name, count]) => [Buffer.from(name, 'latin1'), count] as const),
    );
  }
}

function serviceKeyBytes(id: ServiceId): Buffer {
  if (id.kind === 'address') return endpointKey(id.address, id.port, protocolNumber(id.protocol));
  const key = Buffer.alloc(Endpoint.bytes);
  key.writeUInt32LE(id.mark, Endpoint.address);
  key.writeUInt8(serviceFamily(id) === 'inet' ? 4 : 6, Endpoint.family);
  return key;
}

function realKeys(service: ServiceId, { address, port }: DestinationId): readonly Buffer[] {
  return protocolsOf(service).map((protocol) => endpointKey(address, port, protocol));
}

export function endpointKey(address: Address, port: number, protocol: number): Buffer {
  const key = Buffer.alloc(Endpoint.bytes);
  key.set(addressBytes(address), Endpoint.address);
  key.writeUInt16BE(port, Endpoint.port);
  key.writeUInt8(protocol, Endpoint.protocol);
  key.writeUInt8(familyOf(address) === 'inet' ? 4 : 6, Endpoint.family);
  return key;
}

function numberBytes(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
