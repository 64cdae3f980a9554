/** The relay engine as the daemon sees it: a forwarding process that ends connections on sockets and begins them anew. */
import type { TableSource } from '../child-engine.ts';
import { createChildEngine } from '../child-engine.ts';
import type { Engine, EngineEvents } from '../engine.ts';
import { siblingModule } from '../../util/sibling-module.ts';
import { refusal } from './refusal.ts';

export function createRelay(events: EngineEvents, source: TableSource): Engine {
  const module = siblingModule(import.meta.url, 'forwarder');
  return createChildEngine({ name: 'relay', module, events, source, refuses: refusal });
}
