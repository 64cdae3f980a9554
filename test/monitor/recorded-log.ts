/**
 * Which lines of ldirectord's log this program's monitor is to say too. What goes is said by another part of the program
 * or comes from one of the deliberate differences; each is left out for its kind, wherever it stands.
 */
import { rows } from '../deliberate-differences.ts';

/** Not the monitor's to say, but that of the daemon or of its watch on the file. */
const elsewhere =
  /^(?:Invoking|Exiting|Starting|Reloading) |^ldirectord |^Linux Director |^Configuration file | - ignore new configuration/;

const unsaid: readonly RegExp[] = [elsewhere, ...rows.flatMap((row) => row.unsaid ?? [])];

export interface LogContext {
  /** The step began with a start, restart or reload. */
  readonly begins: boolean;
  /** First lines of services in `ipvsadm -L -n` before and after the step. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

export function linesToSay(log: string, { begins, before, after }: LogContext): readonly string[] {
  const lines = log
    .split('\n')
    .map((line) => line.replace(/^\[[^\]]*\] /, ''))
    .filter((line) => line !== '' && !unsaid.some((text) => text.test(line)));
  const same = new Set(before.filter((line) => after.includes(line)).map(labelOf));
  const changes = lines.filter((line) => !same.has(/^Changed virtual server: (.*)$/.exec(line)?.[1] ?? ''));
  return tidy(begins ? withoutFlaps(changes) : changes);
}

/**
 * Checks run at once, and what ldirectord does at start has a random order: real servers that change in the same way
 * together are named in any order. What is said again and again counts once.
 */
export function tidy(lines: readonly string[]): readonly string[] {
  const tidied: string[] = [];
  for (const line of lines) {
    if (line === tidied.at(-1)) continue;
    let place = tidied.length;
    while (place > 0 && mayPrecede(line, tidied[place - 1] ?? '')) place--;
    tidied.splice(place, 0, line);
  }
  return tidied;
}

function mayPrecede(line: string, earlier: string): boolean {
  const kind = /^(?:Added|Deleted|Quiescent|Readd Quiescent) real server: /.exec(line)?.[0];
  return kind !== undefined && earlier.startsWith(kind) && line < earlier;
}

/** The address, port or mark in a line such as `TCP  10.1.0.100:80 rr`. */
function labelOf(line: string): string {
  return line.split(/ +/)[1] ?? '';
}

/**
 * At start and reload ldirectord puts every unchecked server in and out once, the fallback out and in with it, and
 * counts that as a failure. Here a server enters on its first success, or at weight 0 when it is quiescent.
 */
function withoutFlaps(lines: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (const line of lines) {
    if (line.startsWith('Resetting soft failure count')) continue;
    const undone = kept.findIndex((earlier) => undoes(line, earlier));
    if (undone < 0) kept.push(line);
    else if (line.startsWith('Quiescent')) kept.splice(undone, 1, idle(kept[undone] ?? ''));
    else kept.splice(undone, 1);
  }
  return kept;
}

const opposites: Readonly<Record<string, string>> = {
  'Deleted real': 'Added real',
  'Quiescent real': 'Added real',
  'Added fallback': 'Deleted fallback',
};

function undoes(line: string, earlier: string): boolean {
  const [now, then] = [changeIn(line), changeIn(earlier)];
  return now !== undefined && then?.what === opposites[now.what] && then?.server === now.server;
}

function changeIn(line: string): { what: string; server: string } | undefined {
  const [, what, server] = /^(\w+ \w+) server: (?:\S+ mapped from )?(\S+ \([^)]+\))/.exec(line) ?? [];
  return what === undefined || server === undefined ? undefined : { what, server };
}

function idle(added: string): string {
  return added.replace(/\(Weight set to \d+\)$/, '(Weight set to 0)');
}
