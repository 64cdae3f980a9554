/**
 * One invocation of `directord` from configuration to exit code. Every action reads the configuration first, and a file
 * that cannot be used ends it before anything that runs is touched.
 */
import { resolve } from 'node:path';
import type { Action } from '../cli/directord-arguments.ts';
import { checkText } from '../cli/directord-check.ts';
import { probeText } from '../cli/directord-probe.ts';
import { ldirectordVersion } from '../cli/directord-help.ts';
import type { Invocation, Streams } from '../cli/directord.ts';
import { formatAsLdirectord, formatDiagnostic } from '../config/diagnostic.ts';
import type { Configuration, Diagnostic } from '../config/model.ts';
import { clientSocketPath, controlSocketPath } from '../control/socket-path.ts';
import { Director } from '../director/director.ts';
import type { DaemonLog } from '../observe/log.ts';
import { serviceManager } from '../platform/systemd.ts';
import { act } from './actions.ts';
import { askHealth } from './ask-health.ts';
import { engineOptions, startInBackground } from './background.ts';
import type { ChildCommand } from './children.ts';
import { tellChildrenStatus } from './children.ts';
import { errorLines } from './diagnostics.ts';
import { chooseEngine, idleOptions } from './engine-choice.ts';
import { knowsHandOver } from './handover.ts';
import { cleanLeftovers, leftoversExist } from './leftovers.ts';
import { defaultConfiguration, load, readAgain } from './load.ts';
import type { LogTarget } from './log-target.ts';
import { openLog, sinkFor } from './log-target.ts';
import type { User } from './places.ts';
import { daemonName, findPidFile } from './places.ts';
import { probe } from './probe.ts';
import { run } from './run.ts';
import { warningsAbout } from './warnings.ts';

export interface Host {
  readonly streams: Streams;
  readonly user: User;
  /** Whether this process is the daemon that another one starts in the background. */
  readonly detached: boolean;
  /** The start of a daemon in this process has succeeded. */
  ready: () => void;
  exit: (code: number) => never;
}

/** @returns the exit code. Never rejects: what was thrown on the way is for people. */
export async function perform(invocation: Invocation, host: Host): Promise<number> {
  try {
    return await performWhatMayThrow(invocation, host);
  } catch (error) {
    const { message, stack } = error as Error;
    host.streams.err(`${invocation.program}: ${(invocation.options.debug ? stack : undefined) ?? message}\n`);
    return 1;
  }
}

async function performWhatMayThrow(invocation: Invocation, host: Host): Promise<number> {
  const { options, config, action, program } = invocation;
  const { streams, user } = host;
  const target: LogTarget = {
    global: undefined,
    debug: options.debug,
    name: daemonName(config, options.monitor),
    user,
    streams,
  };
  // The grammar has no `check` without a configuration.
  if (!options.monitor && action !== 'check') return command(invocation, action, host, target, undefined);

  const loaded = await load(config ?? defaultConfiguration);
  if (loaded === undefined) {
    const reason = `Config file ${config ?? defaultConfiguration} not found`;
    streams.err(`${reason}\n`);
    if (program === 'directord') {
      streams.err('(looked for a plain file in /etc/ha.d, in /etc/ha.d/conf, and as it is given)\n');
    }
    return refuse(invocation, host, target, 1, reason);
  }
  if (!loaded.ok) {
    for (const line of errorLines(loaded.diagnostics, process.pid)) streams.err(`${line}\n`);
    return refuse(invocation, host, target, 2, 'config_error: Configuration Error');
  }
  const { configuration, warnings } = loaded;
  if (action === 'check') return check(invocation, streams, configuration, warnings);
  // The one in the background would only say again what was said before it was started.
  if (!host.detached)
    for (const warning of warnings) streams.err(`${formatAsLdirectord(warning, process.pid)}\n`);
  return command(invocation, action, host, { ...target, global: configuration.global }, configuration);
}

/** Without a configuration there is only the default log to say it in. @returns the exit code */
async function refuse(
  { action }: Invocation,
  { detached }: Host,
  target: LogTarget,
  code: number,
  reason: string,
): Promise<number> {
  if (action === 'check' || detached) return code;
  const log = await openLog(target);
  log.error(`Exiting with exit_status ${code}: ${reason}`);
  return code;
}

async function check(
  { options }: Invocation,
  streams: Streams,
  configuration: Configuration,
  warnings: readonly Diagnostic[],
): Promise<number> {
  const silent = { info: () => undefined, problem: () => undefined };
  // It is asked what it refuses, and not started.
  const director = new Director({ applied: () => undefined });
  const { engine } = await chooseEngine(options.engine, silent, director, idleOptions);
  streams.out(checkText(configuration));
  for (const warning of [...warnings, ...warningsAbout(configuration, engine)]) {
    streams.err(`${formatDiagnostic(warning)}\n`);
  }
  if (!options.probe) return 0;
  const probed = await probe(configuration, (message) => {
    streams.err(`${message}\n`);
  });
  streams.out(`\n${probeText(probed)}`);
  return probed.every(({ result }) => result.up) ? 0 : 1;
}

async function command(
  invocation: Invocation,
  action: Exclude<Action, 'check'>,
  host: Host,
  target: LogTarget,
  configuration: Configuration | undefined,
): Promise<number> {
  const { options, path, words } = invocation;
  const { streams, user, detached } = host;
  const log = await openLog(target);
  if (!detached) log.info(`Invoking ldirectord invoked as: ${[path, ...words].join(' ')} `);
  const supervised = configuration?.global.supervised === true;
  const control = resolve(controlSocketPath(options.control, user));
  const code = await act(action, {
    invocation,
    streams,
    log,
    pidFile: findPidFile(target.name, user),
    subject: configuration?.file ?? '--no-monitor',
    inForeground: detached || options.debug || options.foreground || supervised,
    serve: () => serve(invocation, host, target, log, configuration),
    startInBackground: () => startInBackground(invocation, user.env, streams),
    health: () => askHealth(clientSocketPath(options.control, user)),
    kill: (pid, signal) => process.kill(pid, signal),
    left: {
      exists: () => leftoversExist(control),
      canStay: (pid) => knowsHandOver(pid),
      clean: () =>
        cleanLeftovers(control, configuration, (message) => {
          log.info(message);
        }),
    },
  });
  // Of those that the daemon started, which it does not when it is not there.
  if (action === 'status' && code === 0 && configuration !== undefined)
    await tellChildrenStatus(childCommand(invocation, user), configuration.global.execute, streams);
  if (code !== 0 && !detached) {
    const starts = action === 'start' || action.endsWith('restart');
    const reason = starts ? 'Initialisation Error' : `Exiting from ldirectord ${action}`;
    log.info(`Exiting with exit_status ${code}: ${reason}`);
  }
  return code;
}

function childCommand({ path, options, config }: Invocation, user: User): ChildCommand {
  return {
    program: [process.execPath, ...process.execArgv, path, ...engineOptions(options)],
    control: resolve(controlSocketPath(options.control, user)),
    name: daemonName(config, options.monitor),
    pidFile: (name) => findPidFile(name, user),
  };
}

async function serve(
  invocation: Invocation,
  { streams, user, detached, ready, exit }: Host,
  target: LogTarget,
  log: DaemonLog,
  configuration: Configuration | undefined,
): Promise<number> {
  const { options, program } = invocation;
  const withPidFile = !options.debug && configuration?.global.supervised !== true;
  // Before leaving the directory that relative paths are meant for.
  const control = resolve(controlSocketPath(options.control, user));
  const file = resolve(configuration?.file ?? '');
  if (detached) process.chdir('/');
  else log.info(`Starting ${ldirectordVersion} with pid: ${process.pid}`);
  const warn = (message: string): void => {
    streams.err(`${message}\n`);
  };
  const { pid, env } = process;
  const problem = (message: string): void => {
    log.error(message);
  };
  const manager = await serviceManager({ env, pid, problem });
  try {
    await run({
      log,
      engine: options.engine,
      sysctls: options.sysctls,
      attach: options.attach,
      connections: options.connections,
      mssClamp: options.mssClamp,
      control,
      pidFile: withPidFile ? findPidFile(target.name, user) : undefined,
      monitored: configuration && {
        configuration: { ...configuration, file },
        reread: () => readAgain(file),
        adopting: async ({ global }) => {
          log.redirect(await sinkFor({ ...target, global }, warn));
        },
        child: childCommand(invocation, user),
      },
      warn,
      ready,
      manager,
      exit,
    });
    return 0;
  } catch (error) {
    const reason = (error as Error).message;
    log.error(reason);
    warn(`${program}: ${reason}`);
    return 1;
  }
}
