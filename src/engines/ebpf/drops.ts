/** Of what the programs dropped, that which an operator can do something about, told now and then. */
import type { BpfMap } from '../../platform/bpf/bpf-map.ts';

/** By enum drop of bpf/types.h. */
const told: ReadonlyMap<number, string> = new Map([
  [3, 'connection table full: there is room for more with --connections'],
  [4, 'no route'],
  [5, 'too large'],
  [7, 'to a loopback address'],
]);

export class Drops {
  readonly #map: Pick<BpfMap, 'sumPerCpu'>;
  #before: Float64Array;

  /** @param map `drops` */
  constructor(map: Pick<BpfMap, 'sumPerCpu'>) {
    this.#map = map;
    this.#before = map.sumPerCpu();
  }

  /** What was dropped since the last call, in words for a log. */
  news(): string[] {
    const counts = this.#map.sumPerCpu();
    const lines = Array.from(told, ([reason, words]) => {
      const count = (counts[reason] ?? 0) - (this.#before[reason] ?? 0);
      return count > 0 ? `${count} packets dropped: ${words}` : '';
    });
    this.#before = counts;
    return lines.filter((line) => line !== '');
  }
}
