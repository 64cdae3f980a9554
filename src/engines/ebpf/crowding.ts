/**
 * Tells when established connections find no room in their table: they go on among the half-open ones, where a flood of SYNs may end them,
 * and nobody would notice before.
 */
import type { TableFill } from '../engine.ts';

/** Milliseconds from one line to the next. */
const pause = 60_000;

export class Crowding {
  #told: number;
  #next = 0;

  /** @param tables as they are at first: what happened before was told before */
  constructor(tables: readonly TableFill[]) {
    this.#told = total(tables);
  }

  /** A line for the log, if there are more since the last one. @param now milliseconds */
  news(tables: readonly TableFill[], now: number): string[] {
    const count = total(tables);
    const more = count - this.#told;
    if (more <= 0 || now < this.#next) return [];
    this.#told = count;
    this.#next = now + pause;
    return [
      `${more} established connections found no room in the table of connections; a flood may end them: stop with an empty table, start with larger --connections`,
    ];
  }
}

function total(tables: readonly TableFill[]): number {
  return tables.reduce((sum, { unpromoted }) => sum + unpromoted, 0);
}
