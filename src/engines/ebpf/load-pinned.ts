/** The engine's programs in the kernel, over the maps that a daemon before this one has pinned, where there are such. */
import { readlinkSync, rmSync } from 'node:fs';
import { PinMismatchError } from '../../platform/bpf/bpf-object.ts';
import { ensureBpffs } from '../../platform/bpf/bpffs.ts';
import { probeBpf } from '../../platform/bpf/probe.ts';
import type { EngineEvents } from '../engine.ts';
import { pinnedConnections, pinnedSizes, sizesFor } from './pinned-table.ts';
import type { Pins } from './pins.ts';
import { bpffs } from './pins.ts';
import type { LoadedDirector } from './program.ts';
import { loadDirector } from './program.ts';
import type { TableSizes } from './table-sizes.ts';
import { bucketCounts } from './table-sizes.ts';

export interface LoadPinnedOptions {
  /** Undefined: the usual number for new tables, and whatever pinned ones have room for. */
  readonly connections: number | undefined;
  readonly object?: string;
}

/** What other versions of directord have pinned is gone then. @throws with a message for people */
export function loadPinned(pins: Pins, options: LoadPinnedOptions, events: EngineEvents): LoadedDirector {
  const usable = probeBpf();
  if (!usable.available) throw new Error(`the ebpf engine cannot run here: ${usable.reason}`);
  mountBpffs(events);
  const others = pins.otherLayouts().map((other) => ({ other, loss: lost(other) }));
  const director = load(pins, options, events);
  pinForCommands(director, pins);
  for (const { other, loss } of others) {
    events.problem(`the table of another version of directord cannot be gone on with${loss}`);
    other.remove();
  }
  return director;
}

/** `: its connections (12) are lost` */
export function lost(pins: Pick<Pins, 'map'>): string {
  const connections = pinnedConnections(pins);
  if (connections === 0) return ', it has no connections';
  return connections === undefined
    ? ': its connections are lost'
    : `: its connections (${connections}) are lost`;
}

/** In place of those of the daemon before. */
function pinForCommands(director: LoadedDirector, pins: Pick<Pins, 'program'>): void {
  for (const name of ['simulate']) {
    rmSync(pins.program(name), { force: true });
    director.program(name).pin(pins.program(name));
  }
}

function mountBpffs(events: EngineEvents): void {
  const path = bpffs();
  if (!ensureBpffs(path)) return;
  events.info(`mounted the BPF file system on ${path}`);
  const place = (pid: string): string => readlinkSync(`/proc/${pid}/ns/mnt`);
  if (place('self') === place('1')) return;
  events.problem(
    `${path} is in a mount namespace of directord's own: forwarding ends with it. Mount a BPF file system outside, and name it in DIRECTORD_BPFFS`,
  );
}

function load(pins: Pins, { connections, object }: LoadPinnedOptions, events: EngineEvents): LoadedDirector {
  const wanted = sizesFor(connections);
  const present = pins.exist ? pinnedSizes(pins) : undefined;
  if (present !== undefined && connections !== undefined && !sameRoom(wanted, present)) {
    events.problem(
      `--connections ${connections}: the table in the kernel has room for ${present.connections[4]}, and stays until directord stops with an empty one`,
    );
  }
  const loadWith = (sizes: TableSizes): LoadedDirector => {
    pins.prepare();
    return loadDirector({ sizes, pins: pins.directory, ...(object !== undefined && { object }) });
  };
  try {
    return loadWith(present ?? wanted);
  } catch (error) {
    if (!(error instanceof PinMismatchError)) throw error;
    events.problem(`the table in the kernel cannot be gone on with${lost(pins)}: ${error.message}`);
    pins.remove();
    return loadWith(wanted);
  }
}

function sameRoom(one: TableSizes, other: TableSizes): boolean {
  return JSON.stringify(bucketCounts(one)) === JSON.stringify(bucketCounts(other));
}
