/** What every scheduler is: a few functions over the {@link Pool}, whose own state lives in the service's state words. */
import type { Pool } from './pool.ts';

/** The new connection to be scheduled, for the schedulers that hash it. Reused; words are host order. */
export interface Flow {
  readonly family: 4 | 6;
  /** Client address: 4 words, IPv4 in word 0. */
  readonly client: Int32Array;
  readonly clientPort: number;
  /** Virtual address, likewise. */
  readonly virtual: Int32Array;
  /** When it came, for schedulers whose memory expires: seconds, monotonic, the same start in all threads. */
  readonly now: number;
}

export interface Scheduler {
  /** The kernel's name: `rr`. */
  readonly name: string;
  /** The scheduler was attached to the service (its state words are 0), destinations may already be there. */
  attached(pool: Pool, service: number): void;
  /** What it looks clients up in, where that follows from the destinations alone: a destination or NONE for each slot. */
  table?(pool: Pool, service: number): Int32Array;
  /** Destinations were added, edited or removed. */
  changed(pool: Pool, service: number): void;
  /** This destination is about to be unlinked. */
  removing(pool: Pool, service: number, destination: number): void;
  /** The destination for a new connection, or NONE: refused. Allocates nothing. */
  pick(pool: Pool, service: number, flow: Flow): number;
}
