/** The engine's programs in the kernel, over the maps that a daemon before this one has pinned, where there are such. */
import { readlinkSync } from 'node:fs';
import { PinMismatchError } from '../../platform/bpf/bpf-object.ts';
import { ensureBpffs } from '../../platform/bpf/bpffs.ts';
import { probeBpf } from '../../platform/bpf/probe.ts';
import { acceptOwnPackets } from '../../platform/own-packets.ts';
import type { EngineEvents } from '../engine.ts';
import type { PinnedDirector } from './pinned-programs.ts';
import { pinPrograms, takePinned } from './pinned-programs.ts';
import { pinnedConnections, pinnedOwnPackets, pinnedSizes, sizesFor } from './pinned-table.ts';
import type { Pins } from './pins.ts';
import { bpffs } from './pins.ts';
import { directorObject, loadDirector } from './program.ts';
import type { TableSizes } from './table-sizes.ts';
import { bucketCounts } from './table-sizes.ts';

export interface LoadPinnedOptions {
  /** Undefined: the usual number for new tables, and whatever pinned ones have room for. */
  readonly connections: number | undefined;
  readonly object?: string;
}

/** What other versions of directord have pinned is gone then. @throws with a message for people */
export function loadPinned(pins: Pins, options: LoadPinnedOptions, events: EngineEvents): PinnedDirector {
  const usable = probeBpf();
  if (!usable.available) throw new Error(`the ebpf engine cannot run here: ${usable.reason}`);
  mountBpffs(events);
  const others = pins.otherLayouts().map((other) => ({ other, loss: lost(other) }));
  const director = load(pins, options, events);
  for (const { other, loss } of others) {
    events.problem(`the table of another version of directord cannot be gone on with${loss}`);
    removePinned(other, events);
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

/** All that is pinned, what is attached, and what was changed on this host for it. */
export function removePinned(pins: Pins, events: Pick<EngineEvents, 'info'>): void {
  const changed = pinnedOwnPackets(pins);
  pins.remove();
  try {
    if (changed) acceptOwnPackets(false);
  } catch (error) {
    events.info(`loopback goes on taking this host's own packets: ${(error as Error).message}`);
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

/** Only tests run it. */
const without = ['sweep'];

function load(
  pins: Pins,
  { connections, object = directorObject }: LoadPinnedOptions,
  events: EngineEvents,
): PinnedDirector {
  const wanted = sizesFor(connections);
  const present = pins.exist ? pinnedSizes(pins) : undefined;
  if (present !== undefined && connections !== undefined && !sameRoom(wanted, present)) {
    events.problem(
      `--connections ${connections}: the table in the kernel has room for ${present.connections[4]}, and stays until directord stops with an empty one`,
    );
  }
  const loadWith = (sizes: TableSizes): PinnedDirector => {
    pins.prepare();
    return pinPrograms(loadDirector({ sizes, pins: pins.directory, object, without }), pins, object);
  };
  const taken = present && takePinned(pins, object, present);
  if (taken !== undefined) return taken;
  try {
    return loadWith(present ?? wanted);
  } catch (error) {
    if (!(error instanceof PinMismatchError)) throw error;
    events.problem(`the table in the kernel cannot be gone on with${lost(pins)}: ${error.message}`);
    removePinned(pins, events);
    return loadWith(wanted);
  }
}

function sameRoom(one: TableSizes, other: TableSizes): boolean {
  return JSON.stringify(bucketCounts(one)) === JSON.stringify(bucketCounts(other));
}
