/** Where in the kernel the ebpf engine of a daemon is, whether or not that daemon runs. */
import { existsSync } from 'node:fs';
import { controlSocketPath } from '../../control/socket-path.ts';
import { Pins } from '../../engines/ebpf/pins.ts';
import { instanceName } from '../../platform/kernel-guard.ts';
import type { User } from '../places.ts';

/** @param control as with `--control` @throws with a message for people when there is no such engine */
export function findPins(control: string | undefined, user: User): Pins {
  if (user.uid !== 0) throw new Error('only root can look into the ebpf engine');
  const socket = controlSocketPath(control, user);
  const pins = new Pins(instanceName(socket));
  if (existsSync(pins.map('captures'))) return pins;
  if (pins.otherLayouts().length > 0)
    throw new Error('the ebpf engine in the kernel is of another version of directord: restart it');
  throw new Error(
    `the directord at ${socket} has no ebpf engine in the kernel (nothing at ${pins.directory}): ` +
      'start it with --engine ebpf, relay and packet have nothing to look into; or name another one with --control',
  );
}
