/**
 * The parts of a running director and the order in which they begin and end: director and engine, control socket,
 * monitor. The control socket comes early, because it is what only one daemon can have.
 */
import type { AttachChoice, EngineChoice } from '../cli/directord-arguments.ts';
import { directordVersion } from '../cli/directord-help.ts';
import { ControlServer } from '../control/server.ts';
import { Director } from '../director/director.ts';
import type { Engine, EngineEvents } from '../engines/engine.ts';
import type { ServiceHealth } from '../observe/health.ts';
import { guardName, instanceName } from '../platform/kernel-guard.ts';
import { systemClock } from '../util/clock.ts';
import { AdminWarnings } from './admin-warnings.ts';
import { adopt, adopting } from './adopt.ts';
import { chooseEngine } from './engine-choice.ts';
import type { Monitored } from './monitored-configuration.ts';
import { MonitoredConfiguration } from './monitored-configuration.ts';
import { removeLeftovers } from './leftovers.ts';
import { hostBroadcasts, interfaceMtu } from './network-interface.ts';
import type { ProcFiles } from './proc-files.ts';
import { offerProcFiles } from './proc-files.ts';
import { TableBackend } from './table-backend.ts';

export interface DaemonParts extends EngineEvents {
  readonly engine: EngineChoice;
  /** See {@link VsSettings}. */
  readonly sysctls: readonly string[];
  readonly attach: AttachChoice;
  /** Undefined: as many as the ebpf engine finds right. */
  readonly connections: number | undefined;
  readonly mssClamp: boolean;
  /** Path of the control socket. */
  readonly control: string;
  /** Undefined for a director alone. */
  readonly monitored: Monitored | undefined;
  /** Something about the configuration that an operator should know. */
  warn(message: string): void;
}

export class Daemon {
  readonly #parts: DaemonParts;
  #engine: Engine | undefined;
  #control: ControlServer | undefined;
  #backend: TableBackend | undefined;
  #procFiles: ProcFiles | undefined;
  #monitored: MonitoredConfiguration | undefined;
  #warnings: AdminWarnings | undefined;
  #adopted = false;

  constructor(parts: DaemonParts) {
    this.#parts = parts;
  }

  /** Whether it goes on with a table that forwarded before. */
  get hasAdopted(): boolean {
    return this.#adopted;
  }

  /** Forwards when it resolves. @throws with a message for people; what had begun is then to be stopped. */
  async start(): Promise<void> {
    const parts = this.#parts;
    const info = (message: string): void => {
      parts.info(message);
    };
    const problem = (message: string): void => {
      parts.problem(message);
    };
    const version = directordVersion();
    const director = new Director({
      applied: (verb, by) => {
        if (by === adopting) return;
        engine.apply(verb);
        if (by !== 'monitor') warnings.applied(verb);
      },
      mtu: interfaceMtu,
      isBroadcast: hostBroadcasts(systemClock),
    });
    const options = {
      guard: guardName(parts.control),
      offloads: `${parts.control}.offloads`,
      instance: instanceName(parts.control),
      sysctls: parts.sysctls,
      attach: parts.attach,
      connections: parts.connections,
      mssClamp: parts.mssClamp,
    };
    const events = { info, problem };
    const { engine, reason } = await chooseEngine(parts.engine, events, director, options);
    info(`directord ${version}, engine ${reason}`);
    const warnings = new AdminWarnings({
      director,
      engine,
      clock: systemClock,
      warn: (message) => {
        parts.warn(message);
      },
    });
    this.#warnings = warnings;

    const health = (): readonly ServiceHealth[] => this.health();
    const backend = new TableBackend({ director, engine, clock: systemClock, problem, health });
    const control = new ControlServer({
      socket: parts.control,
      backend,
      clock: systemClock,
      version,
      problem,
    });
    await control.start();
    this.#control = control;
    info(`Control socket ${parts.control}`);

    const adopted = await engine.start();
    this.#engine = engine;
    this.#adopted = adopted !== undefined;
    if (parts.mssClamp && engine.name !== 'ebpf')
      parts.warn(`--mss-clamp is of the ebpf engine: the ${engine.name} engine leaves SYNs as they are`);
    if (adopted !== undefined) adopt(adopted, director, engine, events);
    if (engine.name !== 'ebpf') await removeLeftovers(options.instance, events);
    backend.start();
    this.#backend = backend;
    this.#procFiles = await offerProcFiles(parts.control, backend, { info, problem });

    if (parts.monitored !== undefined) {
      this.#monitored = new MonitoredConfiguration(parts.monitored, {
        director,
        engine,
        events: { info, problem },
        warn: (message) => {
          parts.warn(message);
        },
      });
      this.#monitored.start();
    }
    // The answer comes behind everything the engine had to say about the table so far.
    await engine.settled().catch((error: unknown) => {
      problem((error as Error).message);
    });
  }

  /** Whoever looks for this daemon finds it by now. */
  started(): void {
    this.#monitored?.started();
  }

  /** What the monitor knows; nothing without one. */
  health(): readonly ServiceHealth[] {
    return this.#monitored?.health() ?? [];
  }

  /** Resolves when the new configuration is in force, or was refused. */
  async reload(): Promise<void> {
    this.#parts.info('Reloading Linux Director Daemon config on signal');
    if (this.#monitored === undefined) this.#parts.info('there is no configuration to reload');
    else await this.#monitored.reload();
  }

  /** @param forNext leaves forwarding to the daemon that follows, where the engine can; without it `cleanstop` has the word */
  async stop(forNext = false): Promise<void> {
    this.#warnings?.stop();
    await this.#monitored?.stop(forNext && this.#engine?.name === 'ebpf');
    this.#procFiles?.remove();
    await this.#backend?.stop();
    const closed = (await this.#engine?.stop()) ?? 0;
    if (closed > 0) this.#parts.info(`${closed} open connections had to be closed`);
    await this.#monitored?.ended();
    await this.#control?.stop();
  }
}
