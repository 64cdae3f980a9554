/**
 * Traffic counters of one forwarding thread, for every service and destination slot of a pool: written by that thread
 * only, read by its process at any time. A service's row is its slot, a destination's comes after those of all services.
 * Doubles are exact up to 2^53 bytes. Hot path.
 */
import type { Counters } from './engine.ts';
import { zeroCounters } from './engine.ts';

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
    const at = row * FIELDS;
    const numbers = this.#rows;
    const [connections, inPackets] = [numbers[at] as number, numbers[at + 1] as number];
    const outPackets = numbers[at + 2] as number;
    if (connections === 0 && inPackets === 0 && outPackets === 0) return zeroCounters;
    const [inBytes, outBytes] = [numbers[at + 3] as number, numbers[at + 4] as number];
    return { connections, inPackets, outPackets, inBytes, outBytes };
  }

  /** Adds a row's five numbers to those at `at`. */
  addTo(numbers: Float64Array, at: number, row: number): void {
    for (let field = 0; field < FIELDS; field++)
      numbers[at + field] = (numbers[at + field] as number) + (this.#rows[row * FIELDS + field] as number);
  }

  /** Of rows 0 to `rows` - 1 together. */
  sum(rows: number): Counters {
    const sums = [0, 0, 0, 0, 0];
    const numbers = this.#rows;
    for (let at = 0; at < rows * FIELDS; at++) {
      const number = numbers[at] as number;
      if (number !== 0) sums[at % FIELDS] = (sums[at % FIELDS] as number) + number;
    }
    const [connections = 0, inPackets = 0, outPackets = 0, inBytes = 0, outBytes = 0] = sums;
    return { connections, inPackets, outPackets, inBytes, outBytes };
  }

  #add(at: number, amount: number): void {
    this.#rows[at] = (this.#rows[at] as number) + amount;
  }
}
