/** What signals mean to the daemon: HUP rereads the configuration, the others end it, a second one ends it at once. */
import { constants } from 'node:os';
import { handOver } from './handover.ts';

/**
 * ldirectord also takes the signals of a crash (SEGV, ILL, FPE, BUS) for a wish to stop. Here those stay fatal:
 * a process that caught its own crash would hang.
 */
const ending = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGABRT', 'SIGSYS', 'SIGXCPU', 'SIGXFSZ', handOver] as const;

export interface SignalActions {
  /** @param name without `SIG`, as the log writes it */
  stop(name: string): void;
  /** A second signal while stopping; must not return. */
  abandon(code: number): void;
  reload(): void;
  /** A defect: something was thrown that nobody caught. Must not return. */
  crash(error: Error): void;
}

/** @returns takes all handlers away again */
export function handleSignals(actions: SignalActions): () => void {
  let stopping = false;
  const end = (signal: NodeJS.Signals): void => {
    if (stopping) actions.abandon(128 + constants.signals[signal]);
    stopping = true;
    actions.stop(signal.slice('SIG'.length));
  };
  const reload = (): void => {
    if (!stopping) actions.reload();
  };
  const crash = (error: Error): void => {
    actions.crash(error);
  };
  for (const signal of ending) process.on(signal, end);
  process.on('SIGHUP', reload);
  process.on('SIGPIPE', ignore);
  process.on('uncaughtException', crash);
  return () => {
    for (const signal of ending) process.off(signal, end);
    process.off('SIGHUP', reload);
    process.off('SIGPIPE', ignore);
    process.off('uncaughtException', crash);
  };
}

/** A reader that went away is noticed by the write that fails. */
function ignore(): void {
  // nothing to do
}
