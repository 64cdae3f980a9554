/**
 * The BPF object of the ebpf engine, with the sizes that are asked for, in the kernel: its programs, and its maps as memory. Maps that
 * are pinned are taken over with all that is in them.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BpfMap } from '../../platform/bpf/bpf-map.ts';
import { BpfObject } from '../../platform/bpf/bpf-object.ts';
import type { BpfProgram } from '../../platform/bpf/bpf-program.ts';
import { tellTime } from './clock.ts';
import { Settings } from './layout.ts';
import type { TableSizes } from './table-sizes.ts';
import { bucketCounts, mapEntries } from './table-sizes.ts';
import { monotonicTicks } from './ticks.ts';

/** What the build makes of bpf/directord.bpf.c. */
export const directorObject = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../../../dist/engines/ebpf/directord.bpf.o' : './directord.bpf.o',
    import.meta.url,
  ),
);

export interface LoadOptions {
  readonly sizes: TableSizes;
  /** Directory in a bpffs. What is pinned there must be of these sizes: see {@link PinMismatchError}. Without it nothing is pinned. */
  readonly pins?: string;
  readonly object?: string;
  /** Programs that are not loaded. */
  readonly without?: readonly string[];
}

export interface LoadedDirector {
  readonly sizes: TableSizes;
  /** For {@link Pool}. */
  readonly pool: ArrayBuffer;
  map(name: string): BpfMap;
  /** Memory of an array; the same each time. */
  view(name: string): ArrayBuffer;
  program(name: string): BpfProgram;
  /** What is pinned or attached stays in the kernel. */
  close(): void;
}

export interface LoadedObject extends LoadedDirector {
  readonly object: BpfObject;
}

/** By these the programs of one load hand packets on to each other: of another version they would not understand them. */
const ofOneLoad: ReadonlySet<string> = new Set(['steps', 'errands']);

/** @throws BpfError, or PinMismatchError, with a message for people */
export function loadDirector({
  sizes,
  pins,
  object: path = directorObject,
  without,
}: LoadOptions): LoadedObject {
  const seed = pinnedSeed(pins) ?? randomBytes(8);
  const object = BpfObject.open(path, {
    mapSizes: mapEntries(sizes),
    constants: constants(sizes, seed),
    ...(without && { without }),
    ...(pins !== undefined && { pinDirectory: pins, pinned: (name) => !ofOneLoad.has(name) }),
  });
  try {
    object.load();
    begin(object.map('settings').view(), seed);
    return {
      object,
      sizes,
      pool: object.map('pool').view(),
      map: (name) => object.map(name),
      view: (name) => object.map(name).view(),
      program: (name) => object.program(name),
      close: () => {
        object.close();
      },
    };
  } catch (error) {
    object.close();
    throw error;
  }
}

/** What a load over maps that are pinned is told; by itself each time otherwise. */
export function constantsOver(
  pins: string,
  sizes: TableSizes,
): Readonly<Record<string, number | Uint8Array>> {
  return constants(sizes, pinnedSeed(pins) ?? randomBytes(8));
}

/** The sweeper goes on with the time once it is started. */
function begin(settings: ArrayBuffer, seed: Uint8Array): void {
  new Uint8Array(settings).set(seed, Settings.seed);
  const words = new DataView(settings);
  tellTime(words, monotonicTicks());
}

function constants(sizes: TableSizes, seed: Uint8Array): Readonly<Record<string, number | Uint8Array>> {
  const { flows4, halves4, templates4, flows6, halves6, templates6 } = bucketCounts(sizes);
  return {
    service_slots: sizes.services,
    destination_slots: sizes.destinations,
    full_mask4: flows4 - 1,
    half_mask4: halves4 - 1,
    template_mask4: templates4 - 1,
    full_mask6: flows6 - 1,
    half_mask6: halves6 - 1,
    template_mask6: templates6 - 1,
    hash_seed: seed,
  };
}

/** Tables that are there already were filled with a hash of their own. */
function pinnedSeed(pins: string | undefined): Uint8Array | undefined {
  if (pins === undefined || !existsSync(join(pins, 'settings'))) return undefined;
  const settings = BpfMap.openPinned(join(pins, 'settings'));
  try {
    const seed = new Uint8Array(settings.view()).slice(Settings.seed, Settings.seed + 8);
    return seed.some((byte) => byte !== 0) ? seed : undefined;
  } finally {
    settings.close();
  }
}
