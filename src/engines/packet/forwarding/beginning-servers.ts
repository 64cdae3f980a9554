/**
 * Real servers that may begin connections: NAT servers of UDP services with a persistence engine. What such a server sends is
 * sent on from the virtual address, though no client has spoken before.
 */
import { mayBegin, protocolNumber } from '../../service-facts.ts';
import type { PoolDestination, PoolService } from '../../pool-table.ts';
import { addressWords } from '../../address-words.ts';
import { NONE } from '../../../scheduling/pool.ts';

export class BeginningServers {
  /** Pool slots by endpoint, the newest last. */
  readonly #slots = new Map<string, number[]>();
  readonly #endpoints = new Map<number, string>();

  /** Most directors have none. */
  get isEmpty(): boolean {
    return this.#slots.size === 0;
  }

  /** The pool slot of the server that sends from here, or NONE. */
  find(protocol: number, family: 4 | 6, words: Int32Array, port: number): number {
    return this.#slots.get(nameOf(protocol, family, words, port))?.at(-1) ?? NONE;
  }

  /** A service was edited. */
  setService(service: PoolService): void {
    for (const destination of service.destinations.values()) this.set(service, destination);
  }

  /** A destination was added or edited. */
  set(service: PoolService, destination: PoolDestination): void {
    const { id, settings } = service;
    const { slot } = destination;
    this.delete(slot);
    if (id.kind !== 'address' || !mayBegin(id, settings, destination.settings)) return;
    const { family, words } = addressWords(destination.id.address);
    const name = nameOf(protocolNumber(id.protocol), family, words, destination.id.port);
    this.#endpoints.set(slot, name);
    this.#slots.set(name, [...(this.#slots.get(name) ?? []), slot]);
  }

  delete(slot: number): void {
    const name = this.#endpoints.get(slot);
    if (name === undefined) return;
    this.#endpoints.delete(slot);
    const others = (this.#slots.get(name) ?? []).filter((other) => other !== slot);
    if (others.length > 0) this.#slots.set(name, others);
    else this.#slots.delete(name);
  }
}

function nameOf(protocol: number, family: 4 | 6, words: Int32Array, port: number): string {
  const address = family === 4 ? String(words[0] ?? 0) : words.join();
  return `${protocol} ${address} ${port}`;
}
