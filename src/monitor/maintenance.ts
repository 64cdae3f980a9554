/**
 * `maintenancedir=`: while a file there is named after a server, the server is down at once and is not asked. Names are
 * `IP:PORT`, `IP`, and the same with the host's full or short name in place of the address.
 */
import type { CheckSettings } from '../config/model.ts';
import type { Address } from '../util/ip.ts';
import { familyOf } from '../util/ip.ts';
import type { Checker } from './check.ts';

export interface MaintenanceParts {
  /** The directory of the present configuration, undefined when it has none. */
  directory(): string | undefined;
  /** Names of the files in a directory; none when it does not exist. */
  list(directory: string): Promise<readonly string[]>;
  /** Reverse lookup; undefined when there is no name. */
  host(address: Address): Promise<string | undefined>;
  log(message: string): void;
}

export function withMaintenance(check: Checker, parts: MaintenanceParts): Checker {
  const names = new Map<Address, string | undefined>();

  /** The name when it is known by now: a slow resolver must not eat the deadline of a check. */
  function hostName(address: Address): string | undefined {
    if (!names.has(address)) {
      names.set(address, undefined);
      parts.host(address).then(
        (name) => names.set(address, name?.toLowerCase()),
        (error: unknown) => {
          parts.log(`Can not look up the name of ${address}: ${String(error)}`);
        },
      );
    }
    return names.get(address);
  }

  async function inMaintenance(settings: CheckSettings): Promise<boolean> {
    const directory = parts.directory();
    if (directory === undefined) return false;
    const wanted = fileNames(settings, hostName(settings.address));
    try {
      return (await parts.list(directory)).some((file) => wanted.has(file));
    } catch (error) {
      parts.log(`Can not read maintenance directory ${directory}: ${String(error)}`);
      return false;
    }
  }

  return async (settings, signal) => {
    if (!(await inMaintenance(settings))) return check(settings, signal);
    return { up: false, detail: 'Server in maintenance', milliseconds: 0, immediate: true };
  };
}

function fileNames({ address, realPort }: CheckSettings, host: string | undefined): Set<string> {
  const bare = familyOf(address) === 'inet' ? address : `[${address}]`;
  const names = host === undefined ? [bare] : [bare, host, host.split('.', 1)[0] ?? host];
  return new Set(names.flatMap((name) => [`${name}:${realPort}`, name]));
}
