/**
 * `directord CONFIG status`: whether the daemon runs, in ldirectord's words, streams and exit codes, which tools parse;
 * and behind that, under our own name, how the servers are.
 */
import type { Invocation, Streams } from '../cli/directord.ts';
import type { Status } from '../cli/directord-status.ts';
import { statusJson, statusText } from '../cli/directord-status.ts';
import type { Health } from '../control/protocol.ts';
import type { Log } from '../observe/log.ts';
import type { PidFile } from './pid-file.ts';

export interface StatusContext {
  readonly invocation: Pick<Invocation, 'program'> & {
    readonly options: Pick<Invocation['options'], 'json' | 'monitor'>;
  };
  readonly streams: Streams;
  readonly log: Log;
  readonly pidFile: PidFile;
  /** What messages call the configuration: its path. */
  readonly subject: string;
  /** Asks the daemon on the control socket. @throws with a message for people */
  health(): Promise<Health>;
}

/** @returns the exit code */
export async function status(context: StatusContext): Promise<number> {
  const { invocation, streams, pidFile, subject } = context;
  const { json } = invocation.options;
  const found = pidFile.read();
  sayWhetherItRuns(context, found);
  if (found.state === 'running') {
    if (json || invocation.program === 'directord') await tellHealth(context, found.pid);
    return 0;
  }
  if (json) streams.out(statusJson({ state: found.state, file: subject }, new Date()));
  return found.state === 'stale' ? 1 : 3;
}

function sayWhetherItRuns(context: StatusContext, found: ReturnType<PidFile['read']>): void {
  const { streams, log, pidFile, subject } = context;
  const { program, options } = context.invocation;
  if (found.state === 'running') {
    log.info(`ldirectord for ${subject} is running with pid: ${found.pid}`);
    streams.err(`${program} for ${subject} is running with pid: ${found.pid}\n`);
    log.info('Exiting from ldirectord status');
    return;
  }
  if (found.state === 'stale') {
    const stale = `ldirectord stale pid file ${pidFile.path} for ${subject}`;
    log.info(stale);
    // Pacemaker's agent looks for these very words, and takes anything else for a failure that it must not start over.
    streams.err(`${program === 'ldirectord' ? '' : `${program}: `}${stale}\n`);
  }
  // a reader of JSON wants nothing else
  const stopped = `${program} is stopped for ${subject}\n`;
  if (options.json) streams.err(stopped);
  else streams.out(stopped);
}

async function tellHealth(context: StatusContext, pid: number): Promise<void> {
  const { streams, subject } = context;
  const { program, options } = context.invocation;
  const { services, problem } = await askHealth(context, pid);
  if (problem !== undefined) streams.err(`${program}: no health of servers: ${problem}\n`);
  const answer: Status = { state: 'running', pid, file: subject, services, problem };
  if (options.json) streams.out(statusJson(answer, new Date()));
  // a director alone has nobody to tell of
  else if (services !== undefined && options.monitor) streams.out(statusText(services, new Date()));
}

async function askHealth(context: StatusContext, pid: number): Promise<Pick<Status, 'services' | 'problem'>> {
  try {
    const told = await context.health();
    if (told.pid === pid) return { services: told.services };
    return { problem: `on the control socket answers pid ${told.pid}: name this one's with --control` };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}
