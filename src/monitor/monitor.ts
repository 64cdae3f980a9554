/**
 * The monitor: decides who is alive and says so to the director, and to nobody else. Start, reload and stop bring the
 * table in line with a configuration; in between, check results are judged one real server at a time.
 */
import type { CheckSettings, Configuration, Virtual } from '../config/model.ts';
import type { Destination } from '../director/table.ts';
import { serviceKey } from '../director/table.ts';
import type { DirectorVerbs } from '../director/verbs.ts';
import type { Clock } from '../util/clock.ts';
import type { Checker, CheckResult } from './check.ts';
import type { Shell } from './command.ts';
import type { Health } from './judgement.ts';
import type { ScheduledCheck } from './schedule.ts';
import { Schedule } from './schedule.ts';
import type { WatchedReal } from './virtual-monitor.ts';
import { VirtualMonitor } from './virtual-monitor.ts';

export interface MonitorParts {
  readonly director: DirectorVerbs;
  readonly clock: Clock;
  readonly check: Checker;
  /** Runs fallback commands. */
  readonly shell: Shell;
  /** In ldirectord's words. */
  log(message: string): void;
  /** Why a server's first failure is one. */
  explain(message: string): void;
}

/** What the monitor knows about one virtual service. */
export interface VirtualState {
  /** `tcp:10.1.0.100:80` */
  readonly id: string;
  /** `10.1.0.100:80` */
  readonly label: string;
  /** Whether the fallback server stands in. */
  readonly fallbackActive: boolean;
  readonly reals: readonly RealState[];
}

export interface RealState {
  /** As configured: `10.2.0.11:8080`. */
  readonly name: string;
  /** As the table keeps it. */
  readonly destination: Destination['id'];
  readonly state: Health['state'];
  /** Consecutive failures, out of the `failurecount` that take it down. */
  readonly failures: number;
  readonly failurecount: number;
  readonly lastResult: CheckResult | undefined;
}

export class Monitor {
  readonly #parts: MonitorParts;
  readonly #schedule: Schedule;
  #virtuals: readonly VirtualMonitor[] = [];
  /** Who is concerned by the result of a check. */
  #concerned = new Map<string, (readonly [VirtualMonitor, WatchedReal])[]>();

  constructor(parts: MonitorParts) {
    this.#parts = parts;
    const { clock, check } = parts;
    this.#schedule = new Schedule({
      clock,
      check,
      deliver: (checkId, result) => {
        const concerned = this.#concerned.get(checkId) ?? [];
        // Virtuals that share a check share its failures: as in ldirectord, only the first says that they are over.
        const [failed] = result.up ? concerned.filter(([, real]) => real.health.failures > 0) : [];
        failed?.[0].announceReset(failed[1]);
        for (const [virtual, real] of concerned) virtual.apply(real, result);
      },
    });
  }

  /** Puts services and known servers into the table, then begins to check; the table is in line when it returns. */
  start(configuration: Configuration): void {
    this.#adopt(configuration);
  }

  /** Touches only what differs from the configuration until now; servers that stay keep their state. */
  reload(configuration: Configuration): void {
    this.#adopt(configuration);
  }

  /**
   * Ends all checks and cleans the table where `cleanstop` says so. The table is done at once, the checks on resolving.
   * @param remaining their services stay all the same
   */
  async stop(remaining: readonly Virtual[] = []): Promise<void> {
    const stay = new Set(remaining.map(({ service }) => serviceKey(service)));
    const checksEnded = this.#schedule.stop();
    const purged = new Set<string>();
    for (const monitor of this.#virtuals)
      if (monitor.virtual.cleanstop && !stay.has(monitor.key)) monitor.cleanStop(purged);
    this.#virtuals = [];
    this.#concerned.clear();
    await checksEnded;
  }

  /** In the order of the file. */
  states(): readonly VirtualState[] {
    return this.#virtuals.map((monitor) => ({
      id: monitor.virtual.id,
      label: monitor.virtual.label,
      fallbackActive: monitor.fallbackActive,
      reals: monitor.reals.map((watched) => realState(watched, monitor.virtual.failurecount)),
    }));
  }

  #adopt({ virtuals, global }: Configuration): void {
    const before = new Map(this.#virtuals.map((monitor) => [monitor.key, monitor]));
    this.#virtuals = virtuals.map((virtual) => {
      const monitor = new VirtualMonitor(this.#parts, virtual, global.readdquiescent, before);
      before.delete(monitor.key);
      return monitor;
    });
    for (const monitor of this.#virtuals) monitor.putService();
    for (const monitor of this.#virtuals) monitor.putServers();
    for (const gone of before.values()) gone.purgeService('start');
    this.#concern();
    this.#schedule.set(scheduledChecks(this.#virtuals));
  }

  #concern(): void {
    this.#concerned = new Map();
    for (const monitor of this.#virtuals) {
      for (const watched of monitor.reals) {
        const { id } = watched.real.check;
        const list = this.#concerned.get(id);
        if (list === undefined) this.#concerned.set(id, [[monitor, watched]]);
        else list.push([monitor, watched]);
      }
    }
  }
}

/** One for each check id: as the first virtual that has it wants it, at the shortest interval that any wants. */
function scheduledChecks(virtuals: readonly VirtualMonitor[]): Map<string, ScheduledCheck> {
  const checks = new Map<string, { settings: CheckSettings; interval: number }>();
  for (const { virtual, reals } of virtuals) {
    for (const { real } of reals) {
      if (real.check.type === 'off') continue;
      const { checkinterval: interval } = virtual;
      const known = checks.get(real.check.id);
      if (known === undefined) checks.set(real.check.id, { settings: real.check, interval });
      else known.interval = Math.min(known.interval, interval);
    }
  }
  return checks;
}

function realState({ server, health, lastResult }: WatchedReal, failurecount: number): RealState {
  const { name, id: destination } = server;
  const { state, failures } = health;
  return { name, destination, state, failures, failurecount, lastResult };
}
