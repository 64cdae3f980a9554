/** What the real ldirectord did in recorded scenarios, step by step, and what our monitor and our directoradm do. */
import t from 'tap';
import { configurations, inForeground } from './recorded-configurations.ts';
import type { Recorded } from './recording.ts';
import { action, recording } from './recording.ts';
import { replay } from './replay.ts';
import { rows as differences, stepDifference } from '../deliberate-differences.ts';
import { expected, rows, unrecordedLogs } from './scenario-differences.ts';

/** What happened before there was a configuration file is about the command line. */
function withConfiguration(records: readonly Recorded[]): readonly Recorded[] {
  return records.slice(records.findIndex((record) => 'action' in record && record.action === 'start'));
}

/** The part that is about the table; the rest is about the command line. */
function inTheForegroundToo(records: readonly Recorded[]): readonly Recorded[] {
  const implied: Readonly<Record<string, readonly Recorded[]>> = {
    'supervised: running (pid file: False)': [
      { scenario: 'supervised', config: inForeground },
      action('start'),
    ],
    'supervised: stopped': [action('stop')],
    '-d: stopped': [action('start'), action('stop')],
  };
  const last = records.findIndex((record) => 'step' in record && record.step === '-d: stopped');
  return records
    .slice(0, last + 1)
    .flatMap((record) => ('step' in record ? [...(implied[record.step] ?? []), record] : [record]));
}

const scenarios: readonly (readonly [name: string, records: readonly Recorded[]])[] = [
  ['basic', recording('basic')],
  ['reload', recording('reload')],
  ['startstop', withConfiguration(recording('startstop'))],
  ['misc-a', recording('misc-a')],
  ['misc-b', recording('misc-b')],
  ['misc-d', inTheForegroundToo(recording('misc-d'))],
];
const seen = new Set<string>();

for (const [name, records] of scenarios) {
  void t.test(name, async (t) => {
    for await (const outcome of replay(records, configurations[name])) {
      const { title, table, thresholds, log } = outcome;
      const here = expected(outcome);
      const why = here.why === '' ? '' : ` (${here.why})`;
      seen.add(title);
      t.equal(table.directoradm, table.recorded, `${title}: the recorded commands, by directoradm`);
      if (stepDifference(title)?.table === undefined) {
        t.equal(table.monitor, table.recorded, `${title}: table`);
        t.equal(thresholds.monitor, thresholds.directoradm, `${title}: thresholds`);
      }
      t.same(rows(table.monitor), here.table, `${title}: table${why}`);
      t.same(log.monitor, here.log, `${title}: log${why}`);
    }
  });
}

void t.test('every difference is about a step that was played', (t) => {
  t.same(
    [
      ...differences.flatMap(({ steps = [] }) => steps.map(({ step }) => step)),
      ...Object.keys(unrecordedLogs),
    ].filter((step) => !seen.has(step)),
    [],
  );
  t.end();
});
