/**
 * Traffic counters of one forwarding thread, for every service and destination slot: written by that thread only, read by
 * the forwarder at any time. Doubles are exact up to 2^53 bytes. Hot path.
 */
import type { Counters } from '../engine.ts';

const FIELDS = 5;

export class Tallies {
  readonly #rows: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#rows = new Float64Array(buffer);
  }

  static buffer(rows: number): SharedArrayBuffer {
    return new SharedArrayBuffer(rows * FIELDS * 8);
  }

  connection(row: number): void {
    this.#add(row * FIELDS, 1);
  }

  /** `packets` are reads from the client's socket: the relay sees bytes, not packets. */
  incoming(row: number, bytes: number): void {
    this.#add(row * FIELDS + 1, 1);
    this.#add(row * FIELDS + 3, bytes);
  }

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
