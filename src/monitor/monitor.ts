/**
 * The monitor: decides who is alive and says so to the director, and to nobody else. Start, reload and stop bring the
 * table in line with a configuration; in between, check results are judged one real server at a time.
 */
import type { CheckSettings, Configuration, Virtual } from '../config/model.ts';
import type { Destination } from '../director/table.ts';
import { serviceKey } from '../director/table.ts';
import type { DirectorVerbs } from '../director/verbs.ts';
import type { Clock } from '../util/clock.ts';
import type { Alert } from './alerts.ts';
import { Alerts } from './alerts.ts';
import type { Checker, CheckResult } from './check.ts';
import type { Shell } from './command.ts';
import { dampedFor } from './damping.ts';
import type { Health } from './judgement.ts';
import type { ScheduledCheck } from './schedule.ts';
import { Schedule } from './schedule.ts';
import type { Server } from './server.ts';
import { spread } from './spread.ts';
import { VirtualMonitor } from './virtual-monitor.ts';
import type { WatchedReal } from './watched-real.ts';

export interface MonitorParts {
  readonly director: DirectorVerbs;
  readonly clock: Clock;
  readonly check: Checker;
  /** Runs fallback commands. */
  readonly shell: Shell;
  /** In ldirectord's words. */
  log(message: string): void;
  /** Why a server fails, for how long it was out, and what damping does: lines that ldirectord has not. */
  explain(message: string): void;
  /** Takes a mail that is due and returns at once. */
  mail(alert: Alert): void;
  /** Hears of every result, once for each service that it concerns. */
  checked(virtual: Virtual, check: CheckSettings, result: CheckResult): void;
  /** See {@link ScheduleParts}; tests that count checks leave it out. */
  spread?(question: string): number;
}

/** What the monitor knows about one virtual service. */
export interface VirtualState {
  /** `tcp:10.1.0.100:80` */
  readonly id: string;
  /** `10.1.0.100:80` */
  readonly label: string;
  /** Name of the fallback server. */
  readonly fallback: string | undefined;
  /** Whether it stands in. */
  readonly fallbackActive: boolean;
  readonly reals: readonly RealState[];
}

/** Times are milliseconds. */
export interface RealState {
  /** As configured: `10.2.0.11:8080`. */
  readonly name: string;
  /** As the table keeps it. */
  readonly destination: Destination['id'];
  /** Those in maintenance and those damped are down, and say why here. */
  readonly state: Health['state'] | 'maintenance' | 'damped';
  /** For how long it has been in service, out of it, or unchecked. */
  readonly stateFor: number;
  /** Damped: how long it still has to be well; all of it while it is not. */
  readonly dampedFor: number | undefined;
  /** Consecutive failures, out of the `failurecount` that take it down. */
  readonly failures: number;
  readonly failurecount: number;
  readonly lastResult: CheckResult | undefined;
  /** Until the next check; 0 when one is under way, undefined when it is never checked. */
  readonly nextCheck: number | undefined;
}

/** Milliseconds that fallback commands have at the end. */
const commandPatience = 5000;

export class Monitor {
  readonly #parts: MonitorParts;
  readonly #schedule: Schedule;
  readonly #alerts: Alerts;
  /** Checks without a first answer: until they have one, the daemon is starting or reloading. */
  #unanswered = new Set<string>();
  #virtuals: readonly VirtualMonitor[] = [];
  /** Who is concerned by the result of a check. */
  #concerned = new Map<string, (readonly [VirtualMonitor, WatchedReal])[]>();

  constructor(parts: MonitorParts) {
    this.#parts = parts;
    const { clock, check } = parts;
    this.#alerts = new Alerts(parts);
    this.#schedule = new Schedule({
      clock,
      check,
      spread: (question) => (parts.spread ?? spread)(question),
      deliver: (question, result) => {
        const concerned = this.#concerned.get(question) ?? [];
        // Virtuals that share a check share its failures: as in ldirectord, only the first says that they are over.
        const [failed] = result.up ? concerned.filter(([, real]) => real.health.failures > 0) : [];
        failed?.[0].announceReset(failed[1]);
        for (const [virtual, real] of concerned) {
          virtual.apply(real, result);
          this.#alerts.checked(virtual.virtual, real.server, real.health.state === 'down');
          parts.checked(virtual.virtual, real.real.check, result);
        }
        this.#answered(question);
      },
    });
  }

  /** Puts services and known servers into the table, then begins to check; the table is in line when it returns. */
  start(configuration: Configuration): void {
    this.#alerts.state = 'starting';
    this.#adopt(configuration);
  }

  /** Touches only what differs from the configuration until now; servers that stay keep their state. */
  reload(configuration: Configuration): void {
    this.#alerts.state = 'reloading';
    this.#adopt(configuration);
  }

  /**
   * Ends all checks and cleans the table where `cleanstop` says so. The table is done at once, the checks on resolving.
   * @param remaining their services stay all the same
   */
  async stop(remaining: readonly Virtual[] = []): Promise<void> {
    const stay = new Set(remaining.map(({ service }) => serviceKey(service)));
    const checksEnded = this.#schedule.stop();
    this.#alerts.stop();
    this.#alerts.state = 'stopping';
    const purged = new Set<string>();
    for (const monitor of this.#virtuals)
      if (monitor.virtual.cleanstop && !stay.has(monitor.key)) monitor.cleanStop(purged);
    const commands = Promise.all(this.#virtuals.map(({ commanded }) => commanded));
    this.#virtuals = [];
    this.#concerned.clear();
    await checksEnded;
    await this.#inTime(commands);
  }

  /** Fallback commands are the operator's: one that hangs does not keep the daemon. */
  async #inTime(commands: Promise<unknown>): Promise<void> {
    const { clock } = this.#parts;
    await new Promise<void>((resolve) => {
      const timer = clock.after(commandPatience, resolve);
      void commands.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** In the order of the file. */
  states(): readonly VirtualState[] {
    return this.#virtuals.map((monitor) => ({
      id: monitor.virtual.id,
      label: monitor.virtual.label,
      fallback: monitor.fallbackName,
      fallbackActive: monitor.fallbackActive,
      reals: monitor.reals.map((watched) => this.#realState(watched, monitor.virtual)),
    }));
  }

  #realState(watched: WatchedReal, { failurecount, flapdamping }: Virtual): RealState {
    const { server, health, lastResult } = watched;
    const now = this.#parts.clock.now();
    return {
      name: server.name,
      destination: server.id,
      state: watched.condition,
      stateFor: now - watched.since,
      dampedFor:
        flapdamping && watched.flapping.damped ? dampedFor(watched.flapping, flapdamping, now) : undefined,
      failures: health.failures,
      failurecount,
      lastResult,
      nextCheck: this.#schedule.nextIn(watched.question),
    };
  }

  #adopt({ virtuals, global }: Configuration): void {
    const before = new Map(this.#virtuals.map((monitor) => [monitor.key, monitor]));
    const parts = {
      ...this.#parts,
      changed: (virtual: Virtual, text: string) => {
        this.#alerts.changed(virtual, text);
      },
    };
    const checkedBefore = new Set(this.#concerned.keys());
    this.#virtuals = virtuals.map((virtual) => {
      const monitor = new VirtualMonitor(parts, virtual, global.readdquiescent, before);
      before.delete(monitor.key);
      return monitor;
    });
    for (const monitor of this.#virtuals) monitor.putService();
    for (const monitor of this.#virtuals) monitor.putServers();
    for (const gone of before.values()) gone.purgeService();
    this.#concern();
    const checks = scheduledChecks(this.#virtuals);
    this.#unanswered = new Set(
      [...checks.keys()].filter((question) => this.#unanswered.has(question) || !checkedBefore.has(question)),
    );
    this.#alerts.adopt(downServers(this.#virtuals));
    this.#schedule.set(checks);
    this.#runIfAnswered();
  }

  #answered(question: string): void {
    this.#unanswered.delete(question);
    this.#runIfAnswered();
  }

  #runIfAnswered(): void {
    if (this.#unanswered.size === 0) this.#alerts.state = 'running';
  }

  #concern(): void {
    this.#concerned = new Map();
    for (const monitor of this.#virtuals) {
      for (const watched of monitor.reals) {
        const { question } = watched;
        const list = this.#concerned.get(question);
        if (list === undefined) this.#concerned.set(question, [[monitor, watched]]);
        else list.push([monitor, watched]);
      }
    }
  }
}

function* downServers(virtuals: readonly VirtualMonitor[]): Generator<readonly [Virtual, Server]> {
  for (const { virtual, reals } of virtuals)
    for (const { server, health, real } of reals)
      if (health.state === 'down' && real.check.type !== 'off') yield [virtual, server];
}

/** One for each question: as the first virtual that has it wants it, at the shortest interval that any wants. */
function scheduledChecks(virtuals: readonly VirtualMonitor[]): Map<string, ScheduledCheck> {
  const checks = new Map<string, { settings: CheckSettings; interval: number }>();
  for (const { virtual, reals } of virtuals) {
    for (const { real, question } of reals) {
      if (real.check.type === 'off') continue;
      const { checkinterval: interval } = virtual;
      const known = checks.get(question);
      if (known === undefined) checks.set(question, { settings: real.check, interval });
      else known.interval = Math.min(known.interval, interval);
    }
  }
  return checks;
}
