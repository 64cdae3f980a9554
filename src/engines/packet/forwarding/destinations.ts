/**
 * What the forwarder must know of a destination beyond the pool: its address in words, how packets get to it, and who else has that
 * real server. By pool slot.
 */
import type { DestinationId, DestinationSettings, ServiceId } from '../../../director/table.ts';
import type { Outer } from '../../../wire/encapsulation.ts';
import { addressWords } from '../../address-words.ts';
import { Method, methodOf, protocolsOf } from '../../service-facts.ts';
import { ABSENT, EndpointMap } from './endpoint-map.ts';

export interface Server {
  readonly family: 4 | 6;
  readonly words: Int32Array;
  readonly port: number;
  readonly method: Method;
  readonly tunnel: Omit<Outer, 'source' | 'destination' | 'family' | 'copyDf'> | undefined;
}

export class Destinations {
  readonly #servers: (Server | undefined)[] = [];
  /** How many destinations share a real server's endpoint. */
  readonly #endpoints = new EndpointMap();

  /** The server in this slot: also of a deleted destination, until the slot is taken anew. */
  at(slot: number): Server | undefined {
    return this.#servers[slot];
  }

  set(slot: number, id: DestinationId, settings: DestinationSettings): void {
    const { family, words } = addressWords(id.address);
    const method = methodOf(settings.forwarding);
    const { type: kind, port, checksum } = settings.tunnel;
    const tunnel = method === Method.tunnel ? { kind, port, checksum: checksum !== 'nocsum' } : undefined;
    this.#servers[slot] = { family, words, port: id.port, method, tunnel };
  }

  /** A real server of some NAT service answers from here. */
  answers(protocol: number, family: 4 | 6, words: Int32Array, port: number): boolean {
    return (
      this.#endpoints.get(protocol, family, words, port) > 0 ||
      this.#endpoints.get(protocol, family, words, 0) > 0
    );
  }

  /** Counts a destination in (1) or out (-1) of {@link answers}. */
  count(service: ServiceId, id: DestinationId, change: 1 | -1): void {
    const { family, words } = addressWords(id.address);
    for (const protocol of protocolsOf(service)) {
      const known = this.#endpoints.get(protocol, family, words, id.port);
      const count = (known === ABSENT ? 0 : known) + change;
      if (count > 0) this.#endpoints.set(protocol, family, words, id.port, count);
      else this.#endpoints.delete(protocol, family, words, id.port);
    }
  }
}
