/**
 * What a step of a recording showed, in a form in which two runs of the real ldirectord are equal: without times and process ids, and
 * in the one respect in which Perl leaves it to chance, the order of servers at start and reload, without that.
 */
import type { RecordedAction, RecordedStep } from '../../monitor/recording.ts';

export interface Shown {
  /** Of `ipvsadm -L -n`. */
  readonly table: string;
  /** How often the table was read, as `-L -n` and with `--thresholds`. */
  readonly reads: readonly [listings: number, thresholds: number];
  /** Commands that change the table. */
  readonly commands: readonly string[];
  readonly log: readonly string[];
  /** What the command line answered. */
  readonly answers: readonly RecordedAction[];
}

export function showRecorded(step: RecordedStep, actions: readonly RecordedAction[]): Shown {
  const [{ step: title, calls, log }, answers] = [step, actions.map(timeless)];
  const shared = show(title, calls, log, answers);
  return { table: step.ipvsadm_Ln, reads: [step.n_list, step.n_thr], ...shared };
}

/** @param calls all arguments of each call. @param log as in the file */
export function showPlayed(
  title: string,
  calls: readonly string[],
  log: string,
  answers: readonly RecordedAction[],
): Omit<Shown, 'table'> {
  const count = (wanted: string) => calls.filter((call) => call === wanted).length;
  const commands = calls.filter((call) => !isRead(call));
  return {
    reads: [count(listing), count(thresholds)],
    ...show(title, commands, log, answers.map(timeless)),
  };
}

export function isRead(call: string): boolean {
  return call.startsWith('-L ');
}

const listing = '-L -n';
const thresholds = `${listing} --thresholds`;

function show(
  title: string,
  commands: readonly string[],
  log: string,
  answers: readonly RecordedAction[],
): Omit<Shown, 'table' | 'reads'> {
  const actions = answers.map(({ action }) => action);
  const stops = actions.includes('stop');
  // Two children of `fork=yes` check as they come.
  const byChance =
    title.startsWith('fork=yes') || actions.some((action) => /^(?:start|restart|reload)$/.test(action));
  const lines = log
    .split('\n')
    .map(message)
    .filter((line) => line !== '' && !(stops && repeats.test(line)));
  // What fails in each round is said once in a round.
  const once = lines.filter((line, index) => line !== lines[index - 1]);
  return {
    commands: byChance ? bySubject(commands, /-r (\S+)/) : commands,
    log: byChance ? bySubject(once, /(?:: |child )(\S+)/) : once,
    answers,
  };
}

/** Said by a check that fails once more, or not, before the daemon stops. */
const repeats = /^(?:system_timeout|Exiting with exit_status 127: exec)\(/;

const stamp = /\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}[^\]]*\] /g;

function message(line: string): string {
  return (
    line
      .replace(stamp, '')
      .replace(/PID=\d+/, 'PID=N')
      .replace(/pid: \d+/, 'pid: N')
      // The text of an errno that nobody set.
      .replace(/^(system\(.*\) failed:).*/, '$1')
  );
}

function timeless({ action, rc, stdout, stderr }: RecordedAction): RecordedAction {
  const tidy = (text: string) =>
    text
      .split('\n')
      .filter((line) => !startled.test(line))
      .map(message)
      .join('\n');
  return { action, rc, stdout: tidy(stdout), stderr: tidy(stderr) };
}

/** Perl, when ldirectord asks for the command line of a process that ended and that nobody has waited for yet. */
const startled = /^Use of uninitialized value /;

/** Sorted by what each is about, of which they stay in order. */
function bySubject(lines: readonly string[], subject: RegExp): readonly string[] {
  const of = (line: string) => subject.exec(line)?.[1] ?? '';
  return lines.toSorted((a, b) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : 0));
}
