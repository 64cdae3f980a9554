/** What the ebpf engine left in the kernel when it was told to go on without a daemon: two engines would both forward. */
import { existsSync } from 'node:fs';
import { bpffs } from '../engines/ebpf/pins.ts';
import type { EngineEvents } from '../engines/engine.ts';

/** For a daemon that runs with another engine. */
export async function removeLeftovers(instance: string, events: EngineEvents): Promise<void> {
  if (!existsSync(bpffs())) return;
  const { removeEbpf } = await import('../engines/ebpf/ebpf.ts');
  removeEbpf(instance, events);
}
