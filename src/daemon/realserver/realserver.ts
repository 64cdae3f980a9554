/** The command `directord realserver`: prepares this host as a real server of a configuration, or says how. */
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { RealserverCommand } from '../../cli/host-commands.ts';
import type { Streams } from '../../cli/directord.ts';
import type { Configuration } from '../../config/model.ts';
import { runToolSync } from '../../platform/run-tool.ts';
import type { Address } from '../../util/ip.ts';
import { canonicalAddress } from '../../util/ip.ts';
import { loadOrExplain } from '../load.ts';
import type { User } from '../places.ts';
import { runDirectory } from '../places.ts';
import { apply, remove } from './carry-out.ts';
import { planFor, serverAddresses } from './plan.ts';
import { scriptOf } from './script.ts';
import { UndoRecord } from './undo-record.ts';

/** @returns the exit code: 0, 1 when a command failed, 2 for a bad file or a host that is no real server of it */
export async function realserver(command: RealserverCommand, streams: Streams, user: User): Promise<number> {
  const record = new UndoRecord(join(runDirectory(user), 'directord.realserver'));
  const means = { streams, record, shell: (line: string) => runToolSync('/bin/sh', ['-c', line]) };
  // What is there to take back is in the record; the file may have changed since, or be gone.
  if (command.mode === 'remove') return remove(means);

  const loaded = await loadOrExplain(command.config, streams);
  if (typeof loaded === 'number') return loaded;
  const addresses = command.as === undefined ? ownAddresses() : [command.as];
  const servers = serverAddresses(loaded);
  const as = servers.filter((server) => addresses.includes(server));
  if (as.length === 0) {
    streams.err(isNone(command, loaded, addresses, servers));
    return 2;
  }
  const plan = planFor(loaded, new Set(as), command);
  if (command.mode === 'print') {
    streams.out(scriptOf(`Makes ${as.join(' and ')} a real server of ${loaded.file}.`, plan));
    return 0;
  }
  for (const note of plan.notes) streams.err(`note: ${note}\n`);
  return apply(plan.steps, means);
}

/** Without those of loopback, which every host has. */
function ownAddresses(): readonly Address[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const canonical = all.flatMap(({ address }) => canonicalAddress(address) ?? []);
  return [...new Set(canonical)].filter((address) => address !== '::1' && !address.startsWith('127.'));
}

function isNone(
  { as }: RealserverCommand,
  { file }: Configuration,
  addresses: readonly Address[],
  servers: readonly Address[],
): string {
  const who =
    as === undefined
      ? `This host is no real server of ${file}. Its addresses: ${list(addresses)}.`
      : `${as} is no real server of ${file}.`;
  return `${who}\nReal servers there: ${list(servers)}.\n${as === undefined ? 'Use --as ADDRESS to prepare another.\n' : ''}`;
}

function list(addresses: readonly Address[]): string {
  return addresses.length === 0 ? 'none' : addresses.join(', ');
}
