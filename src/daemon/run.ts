/**
 * The daemon's life as a process: it starts, says that it is ready, and runs until a signal ends it. Whatever goes
 * wrong on the way is in the log before the process is gone.
 */
import { directordVersion } from '../cli/directord-help.ts';
import type { DaemonLog } from '../observe/log.ts';
import type { ServiceManager } from '../platform/systemd.ts';
import { systemClock } from '../util/clock.ts';
import type { DaemonParts } from './daemon.ts';
import { Daemon } from './daemon.ts';
import type { PidFile } from './pid-file.ts';
import { handOver } from './handover.ts';
import { handleSignals } from './signals.ts';
import { Supervision } from './supervision.ts';

export interface RunSetup extends Pick<
  DaemonParts,
  'engine' | 'sysctls' | 'attach' | 'connections' | 'mssClamp' | 'control' | 'monitored'
> {
  readonly log: DaemonLog;
  /** Undefined with `-d` and `supervised=yes`. */
  readonly pidFile: PidFile | undefined;
  /** Tells whoever waits for the start; it is in the log too. */
  warn(message: string): void;
  ready(): void;
  /** Undefined when nobody supervises the process. */
  readonly manager: ServiceManager | undefined;
  /** Ends the process at once. */
  exit(code: number): never;
}

/** @returns after the daemon was stopped by a signal. @throws with a message for people when it cannot start */
export async function run(setup: RunSetup): Promise<void> {
  const { log, pidFile } = setup;
  let starting = true;
  const daemon = new Daemon({
    ...setup,
    warn: (message) => {
      log.warn(message);
      if (starting) setup.warn(message);
    },
    info: (message) => {
      log.info(message);
    },
    problem: (message) => {
      log.error(message);
      if (starting) setup.warn(message);
    },
  });

  const supervision = new Supervision({
    manager: setup.manager,
    clock: systemClock,
    health: () => daemon.health(),
    monotonic: () => process.hrtime.bigint() / 1000n,
  });

  const [stopped, askedToStop] = promiseOf<string>();
  const abandon = (code: number): never => {
    pidFile?.remove(process.pid);
    return setup.exit(code);
  };
  const releaseSignals = handleSignals({
    stop: askedToStop,
    abandon,
    reload: () => {
      void supervision.reloading(daemon.reload());
    },
    crash: (error) => {
      log.error(`directord ${directordVersion()} has a defect and ends: ${error.stack ?? error.message}`);
      abandon(1);
    },
  });

  try {
    await daemon.start();
    pidFile?.write(process.pid);
    daemon.started();
    starting = false;
    setup.ready();
    supervision.ready();
    const signal = await stopped;
    supervision.stopping();
    await daemon.stop(`SIG${signal}` === handOver);
    log.info(`Linux Director Daemon terminated on signal: ${signal}`);
  } catch (error) {
    // what forwarded before goes on as it was
    await daemon.stop(daemon.hasAdopted);
    throw error;
  } finally {
    pidFile?.remove(process.pid);
    supervision.end();
    releaseSignals();
  }
}

function promiseOf<T>(): [Promise<T>, (value: T) => void] {
  let resolve: ((value: T) => void) | undefined;
  const promise = new Promise<T>((settle) => (resolve = settle));
  return [promise, (value) => resolve?.(value)];
}
