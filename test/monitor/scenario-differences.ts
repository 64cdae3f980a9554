/** What is expected of a step here: what was recorded, but for the deliberate differences and for what the recording cannot have. */
import { stepDifference } from '../deliberate-differences.ts';
import type { Outcome } from './replay.ts';

const entered = [
  'Added virtual server: 10.1.0.100:80',
  'Added real server: 10.2.0.11:80 (10.1.0.100:80) (Weight set to 1)',
];
const left = [
  'Purged real server (stop): 10.2.0.11:80 (10.1.0.100:80)',
  'Purged virtual server (stop): 10.1.0.100:80',
];

/** Logs that were on a stream of the daemon, which was not recorded. */
export const unrecordedLogs: Readonly<Record<string, readonly string[]>> = {
  'supervised: running (pid file: False)': entered,
  'supervised: stopped': left,
  '-d: stopped': [...entered, ...left],
};

/** `why` is empty where nothing differs. */
export function expected({ title, table, log }: Outcome): {
  readonly table: readonly string[];
  readonly log: readonly string[];
  readonly why: string;
} {
  const differs = stepDifference(title);
  return {
    table: differs?.table ?? rows(table.recorded),
    log: differs?.log ?? unrecordedLogs[title] ?? log.recorded,
    why: differs?.why ?? '',
  };
}

/** What is below the three header lines, each run of blanks as one. */
export function rows(listing: string): readonly string[] {
  return listing
    .split('\n')
    .slice(3, -1)
    .map((line) => line.trim().replace(/ +/g, ' '));
}
