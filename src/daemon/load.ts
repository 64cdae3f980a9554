/** Reading a configuration with the names and the host name of this system. */
import { hostname } from 'node:os';
import type { ParseResult } from '../config/parse.ts';
import { findConfiguration, readConfiguration } from '../config/read.ts';
import { systemNames } from '../platform/system-names.ts';

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
