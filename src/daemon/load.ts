/** Reading a configuration with the names and the host name of this system. */
import { hostname } from 'node:os';
import type { Streams } from '../cli/directord.ts';
import type { Configuration } from '../config/model.ts';
import type { ParseResult } from '../config/parse.ts';
import { findConfiguration, readConfiguration } from '../config/read.ts';
import { systemNames } from '../platform/system-names.ts';
import { errorLines } from './diagnostics.ts';

/** Where CONFIG is looked for when none is given. */
export const defaultConfiguration = 'ldirectord.cf';

/** @param name CONFIG as typed: looked for in `/etc/ha.d` first. Undefined when there is no such file. */
export async function load(name: string): Promise<ParseResult | undefined> {
  const file = findConfiguration(name);
  return file === undefined ? undefined : readAgain(file);
}

/** @param file a path as {@link load} found it */
export function readAgain(file: string): Promise<ParseResult> {
  const { HOSTNAME: name } = process.env;
  return readConfiguration(file, { names: systemNames(), hostname: name ? name : hostname() });
}

/** The same for commands that need nothing but the configuration. @returns it, or the exit code after saying why not */
export async function loadOrExplain(
  name = defaultConfiguration,
  streams: Streams,
): Promise<Configuration | number> {
  const loaded = await load(name);
  if (loaded === undefined) {
    streams.err(
      `Config file ${name} not found\n(looked for a plain file in /etc/ha.d, in /etc/ha.d/conf, and as it is given)\n`,
    );
    return 2;
  }
  if (loaded.ok) return loaded.configuration;
  for (const line of errorLines(loaded.diagnostics, process.pid)) streams.err(`${line}\n`);
  return 2;
}
