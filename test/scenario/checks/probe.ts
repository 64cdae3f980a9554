/** One question to one server, for what is not in a row. */
import type { Place } from './place.ts';
import { probe, type Found } from './row.ts';

export interface Probed extends Partial<Found> {
  /** All that the program said. */
  readonly said: string;
}

/** @param lines of the section, without indentation. @param env `SSL_CERT_FILE=/...` */
export async function probeOne(
  place: Place,
  port: number,
  lines: readonly string[],
  env: readonly string[] = [],
): Promise<Probed> {
  const section = { address: '127.0.0.1', port, lines };
  const { found, output } = await probe(place, [section], { deadline: 5, prefix: ['env', ...env] });
  return { ...found[0], said: output };
}
