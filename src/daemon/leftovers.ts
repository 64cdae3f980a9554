/** What the ebpf engine left in the kernel when it was told to go on without a daemon: two engines would both forward. */
import { existsSync } from 'node:fs';
import { bpffs } from '../engines/ebpf/pins.ts';
import type { EngineEvents } from '../engines/engine.ts';

/** For a daemon that runs with another engine. @param instance of the daemon: see `instanceName` */
export async function removeLeftovers(
  instance: string,
  events: EngineEvents,
  isRoot = process.geteuid?.() === 0,
): Promise<void> {
  if (!isRoot || !existsSync(bpffs())) return;
  const { removeEbpf } = await import('../engines/ebpf/remove.ts');
  removeEbpf(instance, events);
}
