/** What the ebpf engine left in the kernel when it was told to go on without a daemon: who may end it, and when. */
import { existsSync } from 'node:fs';
import type { Configuration } from '../config/model.ts';
import { ControlClient } from '../control/client.ts';
import { ControlUnavailable } from '../control/unavailable.ts';
import { serviceKey } from '../director/table.ts';
import { bpffs, Pins } from '../engines/ebpf/pins.ts';
import type { EngineEvents } from '../engines/engine.ts';
import { instanceName } from '../platform/kernel-guard.ts';

const isRootHere = (): boolean => process.geteuid?.() === 0;

/**
 * For a daemon that runs with another engine: two engines would both forward.
 * @param instance of the daemon: see `instanceName`
 */
export async function removeLeftovers(
  instance: string,
  events: Pick<EngineEvents, 'info'>,
  isRoot = isRootHere(),
): Promise<void> {
  if (!isRoot || !existsSync(bpffs())) return;
  const { removeEbpf } = await import('../engines/ebpf/remove.ts');
  removeEbpf(instance, events);
}

/** Whether the kernel has a table of the daemon of that control socket, of whichever version. */
export function leftoversExist(control: string): boolean {
  const pins = new Pins(instanceName(control));
  return isRootHere() && (pins.exist || pins.otherLayouts().length > 0);
}

/**
 * For a `stop` that finds no daemon, because it was killed or the next one did not start: does what that daemon would have done. While
 * services remain that are not the configuration's, or that it has with `cleanstop=no`, everything stays.
 */
export async function cleanLeftovers(
  control: string,
  configuration: Configuration | undefined,
  info: (message: string) => void,
): Promise<void> {
  if (!leftoversExist(control) || (await isServed(control))) return;
  const { servicesIn } = await import('../engines/ebpf/left-services.ts');
  const virtuals = configuration?.virtuals ?? [];
  const cleaned = new Set(
    virtuals.flatMap(({ cleanstop, service }) => (cleanstop ? [serviceKey(service)] : [])),
  );
  const services = servicesIn(new Pins(instanceName(control))) ?? virtuals.map(({ service }) => service);
  const staying = services.map(serviceKey).filter((key) => !cleaned.has(key));
  if (staying.length > 0)
    info(`The kernel goes on forwarding without a daemon: not to be removed: ${staying.join(', ')}`);
  else await removeLeftovers(instanceName(control), { info });
}

/** Another daemon, with another file, has this socket: the table is that one's. */
async function isServed(control: string): Promise<boolean> {
  try {
    const client = await ControlClient.connect(control);
    client.close();
    return true;
  } catch (error) {
    if (!(error instanceof ControlUnavailable)) throw error;
    return error.reason !== 'absent';
  }
}
