/** The packet engine as the daemon sees it. */
import type { Engine, EngineEvents } from '../engine.ts';
import type { TableSource } from '../child-engine.ts';
import { createChildEngine } from '../child-engine.ts';
import { siblingModule } from '../../util/sibling-module.ts';
import { readVsSettings } from '../vs-settings.ts';
import { refusal } from './refusal.ts';

export interface PacketOptions {
  /** Names the rules that keep the kernel's stack off the virtual services; see `guardName`. */
  readonly guard: string;
  /** File that remembers which offloads of interfaces are to be put back. */
  readonly offloads: string;
  /** `conn_reuse_mode=0` and the like; see {@link VsSettings}. */
  readonly sysctls: readonly string[];
}

/** @throws with a message for people when a setting is none */
export function createPacket(events: EngineEvents, source: TableSource, options: PacketOptions): Engine {
  readVsSettings(options.sysctls.join(' '));
  return createChildEngine({
    name: 'packet',
    module: siblingModule(import.meta.url, 'process'),
    events,
    source,
    refuses: refusal,
    environment: {
      DIRECTORD_GUARD: options.guard,
      DIRECTORD_OFFLOADS: options.offloads,
      DIRECTORD_SYSCTLS: options.sysctls.join(' '),
    },
    mailbox: true,
  });
}
