/** What the doctor says about one thing: what it is, what it should be, and the command that mends it. */

export type Level = 'ok' | 'warn' | 'fail';

export interface Finding {
  readonly level: Level;
  /** What was looked at: `rp_filter of lo`, `tcp:10.1.0.100:80`. */
  readonly subject: string;
  /** What is, with what is expected where that is something else. */
  readonly text: string;
  /** A command, or what a person has to do. */
  readonly mend?: string;
}

export function ok(subject: string, text: string): Finding {
  return { level: 'ok', subject, text };
}

/** Loses packets in some cases, or cannot be judged. */
export function warn(subject: string, text: string, mend?: string): Finding {
  return { level: 'warn', subject, text, ...(mend !== undefined && { mend }) };
}

/** Loses packets. */
export function fail(subject: string, text: string, mend?: string): Finding {
  return { level: 'fail', subject, text, ...(mend !== undefined && { mend }) };
}

const words: Readonly<Record<Level, string>> = { ok: 'ok   ', warn: 'warn ', fail: 'FAIL ' };
const order: readonly Level[] = ['ok', 'warn', 'fail'];

/** One line for each, the worst last, where they are seen, and a summary. */
export function report(findings: readonly Finding[]): string {
  const lines = order.flatMap((level) => findings.filter((finding) => finding.level === level).map(line));
  const count = (level: Level): number => findings.filter((finding) => finding.level === level).length;
  return `${[...lines, `${count('ok')} ok, ${count('warn')} warn, ${count('fail')} FAIL`].join('\n')}\n`;
}

function line({ level, subject, text, mend }: Finding): string {
  return `${words[level]} ${subject}: ${text}${mend === undefined ? '' : ` -> ${mend}`}`;
}
