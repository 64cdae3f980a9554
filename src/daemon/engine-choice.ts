/** Which engine a daemon runs with: the one that it is asked for, or the best one that can run on this host. */
import type { EngineChoice } from '../cli/directord-arguments.ts';
import type { TableSource } from '../engines/child-engine.ts';
import type { EbpfOptions } from '../engines/ebpf/ebpf.ts';
import type { Engine, EngineEvents } from '../engines/engine.ts';
import type { PacketOptions } from '../engines/packet/packet.ts';
import { FirstThatStarts } from './first-that-starts.ts';

export interface ChosenEngine {
  readonly engine: Engine;
  /** For the log: what was chosen and why. */
  readonly reason: string;
}

export type EngineOptions = PacketOptions & EbpfOptions;

/** For who asks an engine what it refuses, and does not start it. */
export const idleOptions: EngineOptions = {
  guard: '',
  offloads: '',
  sysctls: [],
  instance: 'default',
  attach: 'auto',
  connections: undefined,
};

/** @throws with a message for people when there is no such engine */
export async function chooseEngine(
  choice: EngineChoice,
  events: EngineEvents,
  table: TableSource,
  options: EngineOptions,
  isRoot = process.geteuid?.() === 0,
): Promise<ChosenEngine> {
  const relay = (): Promise<Engine> => loadRelay(events, table);
  const packet = (): Promise<Engine> => loadPacket(events, table, options);
  const ebpf = (): Promise<Engine> => loadEbpf(events, options);
  switch (choice) {
    case 'relay':
      return { engine: await relay(), reason: 'relay, as asked for' };
    case 'packet':
      return { engine: await packet(), reason: 'packet, as asked for' };
    case 'ebpf':
      return { engine: await ebpf(), reason: 'ebpf, as asked for' };
    case 'auto':
      break;
  }
  if (!isRoot) {
    return { engine: await relay(), reason: 'relay, because the others need root' };
  }
  const slower = new FirstThatStarts(await packet(), await relay(), events);
  return {
    engine: new FirstThatStarts(await ebpf(), slower, events),
    reason: 'ebpf, the fastest',
  };
}

async function loadRelay(events: EngineEvents, table: TableSource): Promise<Engine> {
  const { createRelay } = await import('../engines/relay/relay.ts');
  return createRelay(events, table);
}

async function loadPacket(events: EngineEvents, table: TableSource, options: PacketOptions): Promise<Engine> {
  const { createPacket } = await import('../engines/packet/packet.ts');
  return createPacket(events, table, options);
}

async function loadEbpf(events: EngineEvents, options: EbpfOptions): Promise<Engine> {
  const { createEbpf } = await import('../engines/ebpf/ebpf.ts');
  return createEbpf(events, options);
}
