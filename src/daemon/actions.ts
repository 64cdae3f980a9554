/**
 * What `directord` does for each action, once the configuration is read and found good. Answers, streams and exit codes
 * are ldirectord's; only where that says nothing of a failure, directord under its own name does.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Action } from '../cli/directord-arguments.ts';
import { ldirectordVersion } from '../cli/directord-help.ts';
import type { Invocation } from '../cli/directord.ts';
import { handOver } from './handover.ts';
import type { PidFile } from './pid-file.ts';
import type { StatusContext } from './status.ts';
import { status } from './status.ts';

export interface ActionContext extends StatusContext {
  readonly invocation: Invocation;
  /** The daemon stays in this process: `-d`, `-f`, `supervised=yes`, or it is the one in the background. */
  readonly inForeground: boolean;
  /** Runs the daemon in this process until it is stopped. @returns the exit code */
  serve(): Promise<number>;
  /** Starts it in another. @returns the exit code */
  startInBackground(): Promise<number>;
  kill(pid: number, signal: Signal): void;
  readonly left: Left;
}

type Signal = 'SIGTERM' | 'SIGHUP' | typeof handOver;

/** What the ebpf engine leaves in the kernel. */
export interface Left {
  /** Whether the kernel has a table of such a daemon, which may run or not. */
  exists(): boolean;
  /** Whether the daemon can end without it. */
  canStay(pid: number): boolean;
  /** Ends forwarding without a daemon, if `cleanstop` is for it. */
  clean(): Promise<void>;
}

/** Milliseconds between two looks at a daemon that is to end, and how long it may take altogether. */
const pollInterval = 100;
const stopPatience = 30_000;

/** @returns the exit code */
export function act(action: Exclude<Action, 'check'>, context: ActionContext): Promise<number> | number {
  switch (action) {
    case 'start':
      return start(context);
    case 'stop':
      return stop(context);
    case 'restart':
      return restart(context);
    case 'try-restart':
      return context.pidFile.read().state === 'running' ? restart(context) : 0;
    case 'reload':
    case 'force-reload':
      return reload(context);
    case 'status':
      return status(context);
  }
}

async function start(context: ActionContext): Promise<number> {
  if (context.pidFile.read().state === 'running') return 0;
  if (context.inForeground) return context.serve();
  context.log.info(`Starting ${ldirectordVersion} as daemon`);
  return context.startInBackground();
}

async function stop(context: ActionContext): Promise<number> {
  const found = context.pidFile.read();
  if (found.state !== 'running') {
    await context.left.clean();
    return 0;
  }
  return signal(context, found.pid, 'SIGTERM') ? 0 : 1;
}

async function restart(context: ActionContext): Promise<number> {
  const found = context.pidFile.read();
  const { left } = context;
  let stays = false;
  if (found.state === 'running') {
    stays = left.exists() && left.canStay(found.pid);
    if (!signal(context, found.pid, stays ? handOver : 'SIGTERM')) return 1;
    if (!(await isGone(context.pidFile, found.pid))) {
      const { program } = context.invocation;
      context.streams.err(
        `${program}: pid ${found.pid} is still running ${stopPatience / 1000} seconds after it was asked to stop\n`,
      );
      return 1;
    }
  }
  const code = await start(context);
  if (code !== 0 && stays && left.exists()) sayThatItStays(context);
  return code;
}

function sayThatItStays({ invocation: { program, config }, streams, log }: ActionContext): void {
  const command = config === undefined ? `${program} --no-monitor` : `${program} ${config}`;
  const text = `no daemon runs: the kernel goes on forwarding, and nobody checks health. '${command} start' goes on with that, '${command} stop' ends it where cleanstop=yes`;
  log.error(text);
  streams.err(`${program}: ${text}\n`);
}

async function isGone(pidFile: PidFile, pid: number): Promise<boolean> {
  for (let waited = 0; waited < stopPatience; waited += pollInterval) {
    const found = pidFile.read();
    if (found.state !== 'running' || found.pid !== pid) return true;
    await pause(pollInterval);
  }
  return false;
}

function reload(context: ActionContext): number {
  const found = context.pidFile.read();
  if (found.state === 'running') return signal(context, found.pid, 'SIGHUP') ? 0 : 1;
  const { invocation, log, streams, subject } = context;
  log.info(`ldirectord is stopped for ${subject}`);
  if (invocation.program === 'directord') streams.err(`directord is stopped for ${subject}\n`);
  return 1;
}

/** @returns false when the daemon belongs to somebody else, which is then said */
function signal(context: ActionContext, pid: number, name: Signal): boolean {
  try {
    context.kill(pid, name);
    return true;
  } catch (error) {
    // It has ended since its pid file was read.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
    const { program } = context.invocation;
    context.streams.err(`${program}: cannot send ${name} to pid ${pid}: ${(error as Error).message}\n`);
    return false;
  }
}
