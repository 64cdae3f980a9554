/**
 * What a persistence engine adds to templates: each is for one client and one piece of data that the engine found in its packets
 * (`sip`: the Call-ID). Which template that is, and the data of each, for listings.
 */
import type { ConnectionKey } from './connection-key.ts';
import { NO_SLOT } from './hash-chains.ts';

export interface EngineData {
  /** Name of the persistence engine. */
  readonly engine: string;
  readonly data: string;
}

interface Known extends EngineData {
  /** Undefined: no connection may use the template any more. */
  name: string | undefined;
}

export class EngineTemplates {
  readonly #byName = new Map<string, number>();
  readonly #bySlot = new Map<number, Known>();

  /** The template with this key for these data, or NO_SLOT. */
  find(key: ConnectionKey, data: string): number {
    return this.#byName.get(nameOf(key, data)) ?? NO_SLOT;
  }

  /** Of a template, or undefined when no engine made it. */
  of(slot: number): EngineData | undefined {
    return this.#bySlot.get(slot);
  }

  add(slot: number, key: ConnectionKey, engine: string, data: string): void {
    const name = nameOf(key, data);
    this.#byName.set(name, slot);
    this.#bySlot.set(slot, { engine, data, name });
  }

  /** Is found no more, and listed still. */
  invalidate(slot: number): void {
    const known = this.#bySlot.get(slot);
    if (known?.name === undefined) return;
    this.#byName.delete(known.name);
    known.name = undefined;
  }

  /** The template is gone. */
  forget(slot: number): void {
    if (this.#bySlot.size === 0) return;
    this.invalidate(slot);
    this.#bySlot.delete(slot);
  }
}

/** Of an IPv4 address only the first word counts. */
function nameOf({ words, family }: ConnectionKey, data: string): string {
  if (family === 6) return `${words.join()} ${data}`;
  return `${words[0] ?? 0},${words[1] ?? 0},${words[5] ?? 0},${words[9] ?? 0} ${data}`;
}

/**
 * What stands in the key of such a template for the client's port, which templates have not: never 0, so that a template without
 * data is never taken for it, and different for different data, so that one client's templates do not share a hash chain.
 */
export function portOf(data: string): number {
  let hash = 0;
  for (let i = 0; i < data.length; i++) hash = Math.imul(hash ^ data.charCodeAt(i), 0x9e3779b1);
  return ((hash >>> 16) % 65535) + 1;
}
