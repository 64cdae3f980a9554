/**
 * Traffic counters of one forwarding thread, for every service and destination slot of a pool: written by that thread
 * only, read by its process at any time. A service's row is its slot, a destination's comes after those of all services.
 * Doubles are exact up to 2^53 bytes. Hot path.
 */
import type { Counters } from './engine.ts';

const FIELDS = 5;

export class Tallies {
  readonly #rows: Float64Array;

  /** @param buffer of {@link bytes} bytes, zeroed; shared when another thread reads it */
  constructor(buffer: ArrayBuffer | SharedArrayBuffer) {
    this.#rows = new Float64Array(buffer);
  }

  /** Bytes of a buffer for so many rows. */
  static bytes(rows: number): number {
    return rows * FIELDS * 8;
  }

  connection(row: number): void {
    this.#add(row * FIELDS, 1);
  }

  /** One packet (or one read from a socket, where an engine sees no packets) of a client. */
  incoming(row: number, bytes: number): void {
    this.#add(row * FIELDS + 1, 1);
    this.#add(row * FIELDS + 3, bytes);
  }

  /** One packet to a client, or one read of what it is sent. */
  outgoing(row: number, bytes: number): void {
    this.#add(row * FIELDS + 2, 1);
    this.#add(row * FIELDS + 4, bytes);
  }

  read(row: number): Counters {
    const [connections = 0, inPackets = 0, outPackets = 0, inBytes = 0, outBytes = 0] = this.#rows.subarray(
      row * FIELDS,
      (row + 1) * FIELDS,
    );
    return { connections, inPackets, outPackets, inBytes, outBytes };
  }

  #add(at: number, amount: number): void {
    this.#rows[at] = (this.#rows[at] as number) + amount;
  }
}
