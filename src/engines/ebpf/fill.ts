/** How full the tables of the programs in the kernel are, and what they dropped, through what is pinned. */
import { BpfMap } from '../../platform/bpf/bpf-map.ts';
import { dropWords } from './drops.ts';
import { Settings, ways } from './layout.ts';
import type { Pins } from './pins.ts';

export interface TableFill {
  readonly family: 4 | 6;
  readonly what: 'connections' | 'half-open connections' | 'persistence templates';
  /** Slots; a connection of NAT has two. As of some seconds ago. */
  readonly used: number;
  readonly slots: number;
  /** Connections that found no room since the tables were made; of persistence templates and half-open ones nobody counts. */
  readonly refused: number;
}

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
  const settings = open(pins, 'settings', (map) => new DataView(map.view()));
  const all = ([4, 6] as const).flatMap((family, block) =>
    tables.map(([name, what], at): TableFill => {
      const slots = ways * open(pins, `${name}${family}`, ({ maxEntries }) => maxEntries);
      const used = settings.getUint32(Settings.used + 4 * (3 * block + at), true);
      const refused = at === 0 ? settings.getUint32(Settings.refused + 4 * block, true) : 0;
      return { family, what, used, slots, refused };
    }),
  );
  const counts = open(pins, 'drops', (map) => map.sumPerCpu());
  const drops = dropWords.map((words, reason) => [words, counts[reason] ?? 0] as const);
  return { tables: all, drops: new Map(drops.filter(([, count]) => count > 0)) };
}

function open<Result>(pins: Pick<Pins, 'map'>, name: string, look: (map: BpfMap) => Result): Result {
  const map = BpfMap.openPinned(pins.map(name));
  try {
    return look(map);
  } finally {
    map.close();
  }
}
