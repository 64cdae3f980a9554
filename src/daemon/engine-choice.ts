/** Which engine a daemon runs with. This version has one, the relay; whoever asks for another is told. */
import type { EngineChoice } from '../cli/directord-arguments.ts';
import type { Timeouts, VirtualService } from '../director/table.ts';
import type { Engine, EngineEvents } from '../engines/engine.ts';

export interface ChosenEngine {
  readonly engine: Engine;
  /** For the log: what was chosen and why. */
  readonly reason: string;
}

/** The table that an engine follows. */
export interface TableSource {
  services(): readonly VirtualService[];
  timeouts(): Timeouts;
}

/** @throws with a message for people when there is no such engine */
export async function chooseEngine(
  choice: EngineChoice,
  events: EngineEvents,
  table: TableSource,
): Promise<ChosenEngine> {
  if (choice === 'packet' || choice === 'ebpf') {
    throw new Error(
      `--engine ${choice}: this version of directord has the relay engine only; use --engine relay or auto`,
    );
  }
  const { createRelay } = await import('../engines/relay/relay.ts');
  return {
    engine: createRelay(events, table),
    reason:
      choice === 'relay' ? 'relay, as asked for' : 'relay, because this version of directord has no other',
  };
}
