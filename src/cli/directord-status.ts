/** What `directord CONFIG status` prints of the servers' health behind ldirectord's own line: for people, and as JSON. */
import type { ServerHealth, ServiceHealth } from '../observe/health.ts';
import { healthSummary } from '../observe/health.ts';
import { shortDuration } from '../util/duration.ts';
import { oneLine } from '../util/one-line.ts';

/** Times are local. */
export function statusText(services: readonly ServiceHealth[], now: Date): string {
  const blocks = services.map((service) => service.servers.map((server) => cells(server, now)));
  const widths = head.map((title, column) =>
    Math.max(title.length, ...blocks.flat().map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const lines = services.flatMap((service, i) => [
    serviceLine(service),
    ...(blocks[i] ?? []).map((row) => `  ${line(row)}`),
  ]);
  return `${healthSummary(services)}\n\n  ${line(head)}\n${lines.map((each) => `${each}\n`).join('')}`;
}

const head = ['SERVER', 'STATE', 'SINCE', 'FAILED', 'NEXT', 'TOOK', 'LAST RESULT'];

function cells(server: ServerHealth, now: Date): readonly string[] {
  const { name, state, stateFor, failures, failurecount, check, nextCheck } = server;
  return [
    name,
    // what somebody has to look after stands out
    state === 'down' ? 'DOWN' : state,
    `${shortTime(new Date(now.getTime() - stateFor), now)} (${shortDuration(stateFor)})`,
    // who is out is not counted any more
    state === 'up' ? `${failures}/${failurecount}` : '-',
    nextCheck === undefined ? 'never' : nextCheck < 500 ? 'now' : shortDuration(nextCheck),
    check === undefined ? '-' : took(check.milliseconds),
    result(server),
  ];
}

function result({ check, dampedFor, nextCheck, state }: ServerHealth): string {
  if (check === undefined) return nextCheck === undefined ? 'checktype=off' : 'no check has ended yet';
  const damped =
    state === 'damped' && dampedFor !== undefined
      ? `; back when well for ${shortDuration(dampedFor)} more`
      : '';
  return `${oneLine(check.detail)}${damped}`;
}

function serviceLine({ id, fallback, fallbackActive, servers }: ServiceHealth): string {
  const up = servers.filter(({ state }) => state === 'up').length;
  const standIn = fallbackActive ? `, fallback ${fallback ?? ''} stands in` : '';
  return `${id}  ${up} of ${servers.length} up${standIn}`;
}

/** `14:03:22` today, else `Nov 21 03:10`. */
function shortTime(then: Date, now: Date): string {
  const [, month = '', day = '', , time = ''] = then.toString().split(' ');
  return then.toDateString() === now.toDateString() ? time : `${month} ${day} ${time.slice(0, 5)}`;
}

function took(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** Whether the daemon runs, and what it knows. */
export interface Status {
  readonly state: 'running' | 'stopped' | 'stale';
  readonly pid?: number;
  /** Path of the configuration. */
  readonly file: string;
  /** Undefined when the daemon could not be asked: `problem` says why. */
  readonly services?: readonly ServiceHealth[] | undefined;
  readonly problem?: string | undefined;
}

/** One document. Times are ISO 8601, lengths of time seconds. */
export function statusJson({ state, pid, file, services, problem }: Status, now: Date): string {
  const document = { state, pid, file, problem, services: services?.map((each) => serviceJson(each, now)) };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function serviceJson({ id, fallback, fallbackActive, servers }: ServiceHealth, now: Date): object {
  return {
    id,
    fallback: fallback === undefined ? null : { name: fallback, active: fallbackActive },
    servers: servers.map((server) => {
      const { name, state, stateFor, dampedFor, failures, failurecount, check, nextCheck } = server;
      return {
        name,
        state,
        since: new Date(now.getTime() - stateFor).toISOString(),
        seconds: inSeconds(stateFor),
        failures,
        failurecount,
        check: check ? { up: check.up, seconds: inSeconds(check.milliseconds), detail: check.detail } : null,
        nextCheckSeconds: nextCheck === undefined ? null : inSeconds(nextCheck),
        dampedSeconds: dampedFor === undefined ? null : inSeconds(dampedFor),
      };
    }),
  };
}

function inSeconds(milliseconds: number): number {
  return Math.round(milliseconds) / 1000;
}
