/** What is in the kernel of the ebpf engine of a daemon with the usual control socket, whether or not that daemon runs. */
import { existsSync } from 'node:fs';
import { controlSocketPath } from '../../../control/socket-path.ts';
import type { Fill } from '../../../engines/ebpf/fill.ts';
import { instanceName } from '../../../platform/kernel-guard.ts';

/** @returns undefined when there is none */
export async function gatherFill(): Promise<Fill | undefined> {
  const { Pins } = await import('../../../engines/ebpf/pins.ts');
  const pins = new Pins(instanceName(controlSocketPath(undefined)));
  if (!existsSync(pins.map('settings'))) return undefined;
  const { readFill } = await import('../../../engines/ebpf/fill.ts');
  return readFill(pins);
}
