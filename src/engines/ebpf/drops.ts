/** Of what the programs dropped, that which an operator can do something about, told now and then. */
import type { BpfMap } from '../../platform/bpf/bpf-map.ts';

/** By enum drop of bpf/types.h. */
export const dropWords = [
  'malformed',
  'bad checksum',
  'destination deleted',
  'connection table full',
  'no route',
  'too large',
  'dropped by drop_packet',
  'to a loopback address',
  'reply that belongs to no connection',
  'source route',
  'from an address that nobody outside can have',
  'without what the persistence engine looks for',
] as const;

/** With what can be done. */
const told: ReadonlyMap<(typeof dropWords)[number], string> = new Map([
  ['connection table full', ': there is room for more with --connections'],
  ['no route', ''],
  ['too large', ''],
  ['to a loopback address', ''],
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
    const before = this.#before;
    this.#before = counts;
    return dropWords.flatMap((words, reason) => {
      const count = (counts[reason] ?? 0) - (before[reason] ?? 0);
      const advice = told.get(words);
      return count > 0 && advice !== undefined ? [`${count} packets dropped: ${words}${advice}`] : [];
    });
  }
}
