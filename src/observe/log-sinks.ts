/**
 * Where log lines can go, in ldirectord's formats: a file, syslog, stdout of a supervised daemon, stderr of one that
 * is debugged, or JSON for whoever collects logs by machine.
 */
import { appendFileSync } from 'node:fs';
import type { LogRecord, LogSink } from './log.ts';

export interface Stamp {
  /** Name of the configuration, as in the pid file. */
  readonly name: string;
  readonly pid: number;
  now(): Date;
}

/** `[Sun Nov 22 08:27:51 2026|ld.cf|1039] message`. Opened for every line, so rotating the file needs no signal. */
export function fileSink(path: string, stamp: Stamp): LogSink {
  return (record) => {
    const prefix = `[${ctime(stamp.now())}|${stamp.name}|${stamp.pid}] `;
    appendFileSync(path, lines(record, prefix), { mode: 0o644 });
  };
}

/** `[Sun Nov 22 08:27:51 2026] message`, for `supervised=yes`. */
export function stdoutSink(write: (text: string) => void, now: () => Date): LogSink {
  return (record) => {
    write(lines(record, `[${ctime(now())}] `));
  };
}

/** The bare message, for `-d`; debug lines are marked as ldirectord marks them. */
export function stderrSink(write: (text: string) => void): LogSink {
  return (record) => {
    write(lines(record, record.level === 'debug' ? 'DEBUG2: ' : ''));
  };
}

/** @param send hands one line to syslog */
export function syslogSink(send: (message: string) => void): LogSink {
  return (record) => {
    for (const line of record.message.split('\n')) send(line);
  };
}

export function jsonSink(write: (text: string) => void): LogSink {
  return (record) => {
    write(record.json);
  };
}

/** `Sun Nov  1 08:27:51 2026` in local time, the day padded with a blank: what ctime(3) prints. */
export function ctime(date: Date): string {
  const [weekday, month] = date.toString().split(' ');
  const day = String(date.getDate()).padStart(2);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
  return `${weekday ?? ''} ${month ?? ''} ${day} ${time} ${date.getFullYear()}`;
}

/** A message of several lines (a stack) gets its prefix on each, so that the file stays one record a line. */
function lines(record: LogRecord, prefix: string): string {
  return record.message
    .split('\n')
    .map((line) => `${prefix}${line}\n`)
    .join('');
}
