/** Which log a daemon or a command writes to, from the configuration and how it was invoked. */
import type { Streams } from '../cli/directord.ts';
import type { GlobalSettings } from '../config/model.ts';
import { fileSink, jsonSink, stderrSink, stdoutSink, syslogSink } from '../observe/log-sinks.ts';
import type { LogSink } from '../observe/log.ts';
import { DaemonLog } from '../observe/log.ts';
import { openSyslog } from '../platform/syslog.ts';
import type { User } from './places.ts';
import { defaultLogfile } from '../config/resolve-global.ts';
import { logFileWithoutConfiguration, writableLogFile } from './places.ts';

export interface LogTarget {
  /** Undefined without a configuration, or before one could be read. */
  readonly global: Pick<GlobalSettings, 'logfile' | 'supervised'> | undefined;
  readonly debug: boolean;
  readonly name: string;
  readonly user: User;
  readonly streams: Streams;
}

const ident = 'ldirectord';

export async function openLog(target: LogTarget): Promise<DaemonLog> {
  const complain = (message: string): void => {
    target.streams.err(`${message}\n`);
  };
  return new DaemonLog({ sink: await sinkFor(target, complain), debug: target.debug, complain });
}

export async function sinkFor(target: LogTarget, complain: (message: string) => void): Promise<LogSink> {
  const { streams, global } = target;
  const logfile = global?.logfile ?? logFileWithoutConfiguration(target.user);
  const supervised = global?.supervised === true;
  const now = (): Date => new Date();
  if ((target.debug || supervised) && target.user.env['DIRECTORD_LOG'] === 'json') {
    return jsonSink((text) => {
      streams.err(text);
    });
  }
  if (target.debug) {
    return stderrSink((text) => {
      streams.err(text);
    });
  }
  if (supervised) {
    return stdoutSink((text) => {
      streams.out(text);
    }, now);
  }
  const stamp = { name: target.name, pid: process.pid, now };
  if (logfile.startsWith('/')) return fileSink(writableLogFile(logfile, target.user), stamp);
  try {
    return syslogSink(await openSyslog(ident, logfile));
  } catch (error) {
    complain(`cannot log to syslog: ${(error as Error).message}; logging to ${defaultLogfile}`);
    return fileSink(writableLogFile(defaultLogfile, target.user), stamp);
  }
}
