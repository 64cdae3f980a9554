/**
 * The programs of one load, pinned together and named by all that made them: the object, its constants, the maps that they are over. A
 * daemon that would load just the same takes them as they are, and the verifier, who needs seconds for them, has nothing to do.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BpfMap } from '../../platform/bpf/bpf-map.ts';
import { BpfProgram } from '../../platform/bpf/bpf-program.ts';
import type { Pins } from './pins.ts';
import type { LoadedDirector } from './program.ts';
import { constantsOver } from './program.ts';
import type { TableSizes } from './table-sizes.ts';

/** What the daemon and its commands run. */
const programs = ['xdp_director', 'tc_director', 'sweep_start', 'simulate'] as const;
/** It holds the other programs, those that tc_director calls, and would be emptied if it were not pinned. */
const steps = 'steps';

export interface PinnedDirector extends LoadedDirector {
  /** Removes the programs of all other loads. To be called when none of them is on an interface any more. */
  keepOnlyThis(): void;
}

/** @returns undefined when there are none of this object over these maps */
export function takePinned(pins: Pins, object: string, sizes: TableSizes): PinnedDirector | undefined {
  const files = [...programs, steps];
  const folder = pins
    .loads(nameOfLoad(pins, object, sizes))
    .find((load) => files.every((file) => existsSync(join(load, file))));
  if (folder === undefined) return undefined;
  const opened = new Map<string, BpfProgram>();
  const maps = new Map<string, BpfMap>();
  const program = (name: string): BpfProgram =>
    known(opened, name, () => BpfProgram.openPinned(join(folder, name)));
  const map = (name: string): BpfMap => known(maps, name, () => BpfMap.openPinned(pins.map(name)));
  return {
    sizes,
    pool: map('pool').view(),
    map,
    view: (name) => map(name).view(),
    program,
    close: () => {
      for (const each of [...opened.values(), ...maps.values()]) each.close();
    },
    keepOnlyThis: () => {
      pins.keepLoad(folder);
    },
  };
}

/** Whoever is killed meanwhile leaves a folder that lacks something, and so is not taken. */
export function pinPrograms(director: LoadedDirector, pins: Pins, object: string): PinnedDirector {
  const folder = pins.makeLoad(nameOfLoad(pins, object, director.sizes));
  for (const name of programs) director.program(name).pin(join(folder, name));
  director.map(steps).pin(join(folder, steps));
  return {
    ...director,
    keepOnlyThis: () => {
      pins.keepLoad(folder);
    },
  };
}

function nameOfLoad(pins: Pins, object: string, sizes: TableSizes): string {
  const hash = createHash('sha256').update(readFileSync(object));
  hash.update(JSON.stringify(constantsOver(pins.directory, sizes)));
  for (const name of pins.maps()) {
    const map = BpfMap.openPinned(pins.map(name));
    map.close();
    hash.update(`${name} ${map.id}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}

function known<Value>(all: Map<string, Value>, name: string, open: () => Value): Value {
  let value = all.get(name);
  if (value === undefined) {
    value = open();
    all.set(name, value);
  }
  return value;
}
