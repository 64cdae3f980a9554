/** Short ways to parse a text and to say what came of it. */
import { formatDiagnostic } from '../../src/config/diagnostic.ts';
import type { Configuration, Virtual } from '../../src/config/model.ts';
import type { ParseResult } from '../../src/config/parse.ts';
import { parseConfiguration } from '../../src/config/parse.ts';
import { fakeNames } from './fake-names.ts';

export function parse(text: string): Promise<ParseResult> {
  return parseConfiguration(text, { file: 'ld.cf', names: fakeNames, hostname: 'director' });
}

/** All diagnostics as people see them. */
export async function complaints(text: string): Promise<readonly string[]> {
  const result = await parse(text);
  return (result.ok ? result.warnings : result.diagnostics).map(formatDiagnostic);
}

/** The configuration of a text that has to be right. */
export async function configurationOf(text: string): Promise<Configuration> {
  const result = await parse(text);
  if (result.ok) return result.configuration;
  throw new Error(result.diagnostics.map(formatDiagnostic).join('\n'));
}

/** The only virtual service of a text that has to be right. */
export async function virtualOf(text: string): Promise<Virtual> {
  const [virtual, ...more] = (await configurationOf(text)).virtuals;
  if (virtual === undefined || more.length > 0) throw new Error('not exactly one virtual service');
  return virtual;
}
