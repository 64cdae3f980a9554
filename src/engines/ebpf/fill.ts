/** How full the tables of the programs in the kernel are, and what they dropped, through what is pinned. */
import { BpfMap } from '../../platform/bpf/bpf-map.ts';
import type { TableFill } from '../engine.ts';
import { dropWords } from './drops.ts';
import { Settings, ways } from './layout.ts';
import type { Pins } from './pins.ts';

export interface Fill {
  readonly tables: readonly TableFill[];
  /** Packets, by reason; those that there were none of are left out. */
  readonly drops: ReadonlyMap<string, number>;
}

const tables = [
  ['flows', 'connections'],
  ['halves', 'half-open connections'],
  ['templates', 'persistence templates'],
] as const;

/** @throws BpfError when nothing is pinned */
export function readFill(pins: Pick<Pins, 'map'>): Fill {
  const settings = open(pins, 'settings', (map) => map.view());
  const filled = tableFills(settings, (name) => open(pins, name, ({ maxEntries }) => maxEntries));
  const counts = open(pins, 'drops', (map) => map.sumPerCpu());
  const drops = dropWords.map((words, reason) => [words, counts[reason] ?? 0] as const);
  return { tables: filled, drops: new Map(drops.filter(([, count]) => count > 0)) };
}

/** @param settings memory of the map of that name @param buckets how many the map of this name has */
export function tableFills(settings: ArrayBuffer, buckets: (name: string) => number): readonly TableFill[] {
  const words = new DataView(settings);
  return ([4, 6] as const).flatMap((family, block) =>
    tables.map(([name, table], at): TableFill => {
      const slots = ways * buckets(`${name}${family}`);
      const used = words.getUint32(Settings.used + 4 * (3 * block + at), true);
      const refused = at === 0 ? words.getUint32(Settings.refused + 4 * block, true) : 0;
      const unpromoted = at === 0 ? words.getUint32(Settings.unpromoted + 4 * block, true) : 0;
      return { family, table, used, slots, refused, unpromoted };
    }),
  );
}

function open<Result>(pins: Pick<Pins, 'map'>, name: string, look: (map: BpfMap) => Result): Result {
  const map = BpfMap.openPinned(pins.map(name));
  try {
    return look(map);
  } finally {
    map.close();
  }
}
