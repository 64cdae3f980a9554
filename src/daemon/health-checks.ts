/** The checker of a running daemon: every check with the means of this host, and servers in maintenance left out. */
import { readdir } from 'node:fs/promises';
import type { Checker } from '../monitor/check.ts';
import { createChecker } from '../monitor/checks/checker.ts';
import { systemTrust } from '../monitor/checks/trust.ts';
import { withMaintenance } from '../monitor/maintenance.ts';
import { createMatcher } from '../platform/matcher.ts';
import { createPing } from '../platform/ping.ts';
import { commandRunner } from '../platform/run-command.ts';
import { systemNames } from '../platform/system-names.ts';
import { systemClock } from '../util/clock.ts';

export interface HealthCheckParts {
  /** `maintenancedir` of the present configuration. */
  maintenanceDirectory(): string | undefined;
  log(message: string): void;
}

export function createHealthChecks(parts: HealthCheckParts): Checker {
  const log = (message: string): void => {
    parts.log(message);
  };
  const checker = createChecker({
    clock: systemClock,
    ping: createPing(systemClock),
    run: commandRunner(systemClock),
    trust: systemTrust(process.env),
    find: createMatcher(),
    ftpPassive: process.env['FTP_PASSIVE'] !== '0',
    log,
  });
  const names = systemNames();
  return withMaintenance(checker, {
    directory: () => parts.maintenanceDirectory(),
    list: filesIn,
    host: (address) => names.host(address),
    log,
  });
}

async function filesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    // A configuration may name a directory that is only made when it is needed; loading it has said so.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
