/**
 * A configuration under watch: the monitor that follows it, and how a new reading of the file replaces the old one. A
 * file that cannot be used changes nothing: table, checks and log stay as they are.
 */
import { appendFile, readFile, stat } from 'node:fs/promises';
import { formatAsLdirectord, formatDiagnostic } from '../config/diagnostic.ts';
import type { Configuration, Diagnostic, Virtual } from '../config/model.ts';
import type { ParseResult } from '../config/parse.ts';
import type { Director } from '../director/director.ts';
import type { Engine, EngineEvents } from '../engines/engine.ts';
import { ConfigWatch } from '../monitor/config-watch.ts';
import { Monitor } from '../monitor/monitor.ts';
import { MonitorFiles } from '../monitor/monitor-file.ts';
import { ctime } from '../observe/log-sinks.ts';
import { commandRunner, runShell } from '../platform/run-command.ts';
import { runListening } from '../platform/run-listening.ts';
import { systemClock } from '../util/clock.ts';
import { AlertMails } from './alert-mails.ts';
import type { ChildCommand } from './children.ts';
import { Children } from './children.ts';
import { errorLines } from './diagnostics.ts';
import type { ServiceHealth } from '../observe/health.ts';
import { serviceHealth } from './health-report.ts';
import { createHealthChecks } from './health-checks.ts';
import { warningsAbout } from './warnings.ts';

export interface Monitored {
  /** Its `file` is an absolute path. */
  readonly configuration: Configuration;
  /** Reads the same file again. */
  reread(): Promise<ParseResult>;
  /** A new reading is about to replace the old one. */
  adopting(configuration: Configuration): Promise<void>;
  /** For `execute=`. */
  readonly child: ChildCommand;
}

export interface MonitoringParts {
  readonly director: Director;
  readonly engine: Engine;
  readonly events: EngineEvents;
  /** Something about the configuration that an operator should know. */
  warn(message: string): void;
}

const run = commandRunner(systemClock);
/** Milliseconds that a disk which hangs may hold up the end. */
const filePatience = 1000;

export class MonitoredConfiguration {
  readonly #monitored: Monitored;
  readonly #parts: MonitoringParts;
  readonly #monitor: Monitor;
  readonly #watch: ConfigWatch;
  readonly #mails: AlertMails;
  readonly #monitorFiles: MonitorFiles;
  readonly #children: Children;
  readonly #callback = new AbortController();
  #configuration: Configuration;
  #reloading: Promise<void> = Promise.resolve();
  #stopped = false;
  #childrenEnded: Promise<void> = Promise.resolve();

  constructor(monitored: Monitored, parts: MonitoringParts) {
    this.#monitored = monitored;
    this.#parts = parts;
    this.#configuration = monitored.configuration;
    const log = (message: string): void => {
      parts.events.info(message);
    };
    this.#mails = new AlertMails({ from: () => this.#configuration.global.emailalertfrom, log });
    this.#monitorFiles = new MonitorFiles({
      stamp: () => `[${ctime(new Date())}] [${process.pid}]`,
      append: (path, text) => appendFile(path, text, { mode: 0o644 }),
      log,
    });
    this.#children = new Children({ ...monitored.child, shell: runListening, clock: systemClock, log });
    this.#monitor = new Monitor({
      director: parts.director,
      clock: systemClock,
      check: createHealthChecks({
        maintenanceDirectory: () => this.#configuration.global.maintenancedir,
        log,
      }),
      shell: runShell,
      log,
      explain: log,
      mail: (alert) => {
        this.#mails.add(alert);
      },
      checked: (virtual, check, result) => {
        this.#monitorFiles.checked(virtual, check, result);
      },
    });
    this.#watch = new ConfigWatch({
      clock: systemClock,
      file: monitored.configuration.file,
      interval: () => this.#configuration.global.checkinterval,
      autoreload: () => this.#configuration.global.autoreload,
      modified: async (file) => (await stat(file)).mtimeMs,
      read: readFile,
      log,
      changed: (reread) => {
        this.#fileChanged(reread);
      },
    });
  }

  /** The table is in line with the configuration when it returns. */
  start(): void {
    this.#warn();
    this.#monitor.start(this.#configuration);
    this.#watch.start();
  }

  /** This daemon is known to others by now. */
  started(): void {
    if (!this.#stopped) this.#children.start(this.#configuration.global.execute);
  }

  health(): readonly ServiceHealth[] {
    return this.#monitor.states().map(serviceHealth);
  }

  /** Reads the file again, after a reading that may be under way. Resolves when it is in force, or was refused. */
  reload(): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#reload());
    return this.#reloading;
  }

  /** @param forNext leaves services in the table that the file, as it is now, has too */
  async stop(forNext = false): Promise<void> {
    this.#stopped = true;
    this.#watch.stop();
    this.#callback.abort();
    await this.#reloading;
    if (forNext) await this.#children.restart();
    else this.#childrenEnded = this.#children.stop();
    await this.#monitor.stop(forNext ? await this.#stillConfigured() : []);
  }

  /** After a stop: when mails are sent and children have ended, or had their time. */
  async ended(): Promise<void> {
    const written = new Promise<void>((resolve) => {
      const timer = systemClock.after(filePatience, resolve);
      void this.#monitorFiles.written().then(() => {
        timer.cancel();
        resolve();
      });
    });
    await Promise.all([this.#childrenEnded, this.#mails.close(), written]);
  }

  async #reload(): Promise<void> {
    const { events } = this.#parts;
    try {
      const loaded = await this.#monitored.reread();
      if (this.#stopped) return;
      if (loaded.ok) await this.#adopt(loaded.configuration, loaded.warnings);
      else for (const line of errorLines(loaded.diagnostics, process.pid)) events.problem(line);
    } catch (error) {
      events.problem(`reload failed, nothing was changed: ${(error as Error).message}`);
    }
  }

  async #adopt(configuration: Configuration, warnings: readonly Diagnostic[]): Promise<void> {
    await this.#monitored.adopting(configuration);
    this.#configuration = configuration;
    for (const warning of warnings) this.#parts.warn(formatAsLdirectord(warning, process.pid));
    this.#warn();
    this.#children.reload(configuration.global.execute);
    this.#monitor.reload(configuration);
  }

  async #stillConfigured(): Promise<readonly Virtual[]> {
    try {
      const loaded = await this.#monitored.reread();
      if (loaded.ok) return loaded.configuration.virtuals;
    } catch (error) {
      this.#parts.events.problem(`all services stay: ${(error as Error).message}`);
    }
    return this.#configuration.virtuals;
  }

  #warn(): void {
    for (const warning of warningsAbout(this.#configuration, this.#parts.engine)) {
      this.#parts.warn(formatDiagnostic(warning));
    }
  }

  #fileChanged(reread: boolean): void {
    if (reread) void this.reload();
    const { callback } = this.#configuration.global;
    if (callback !== undefined) void this.#call(callback);
  }

  async #call(callback: string): Promise<void> {
    const { file } = this.#configuration;
    const { status, detail, startError } = await run(callback, [file], this.#callback.signal);
    if (status === 0 || this.#stopped) return;
    this.#parts.events.problem(`callback ${callback} ${file} failed: ${startError ?? detail}`);
  }
}
