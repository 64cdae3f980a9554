/**
 * One virtual service under watch: the health of its real servers, and what that means for the table. The order of
 * verbs is part of the contract: a server leaves before the fallback enters and enters before the fallback leaves.
 */
import type { Virtual } from '../config/model.ts';
import type { DestinationId } from '../director/table.ts';
import { serviceKey } from '../director/table.ts';
import { shortDuration } from '../util/duration.ts';
import type { Clock } from '../util/clock.ts';
import type { CheckResult } from './check.ts';
import * as damping from './damping.ts';
import type { FallbackCommandParts } from './fallback-command.ts';
import { FallbackCommand } from './fallback-command.ts';
import type { Health, Judged } from './judgement.ts';
import { judge, unchecked } from './judgement.ts';
import { isSameReason } from './reason.ts';
import type { Server } from './server.ts';
import { fallbackServer, isSameDestination } from './server.ts';
import type { TableParts } from './service-table.ts';
import { ServiceTable } from './service-table.ts';
import { WatchedReal } from './watched-real.ts';

export interface VirtualParts extends TableParts, FallbackCommandParts {
  readonly clock: Pick<Clock, 'now'>;
  /** What ldirectord never says, and whoever is woken by its next line wants to know: why a check failed. */
  explain(message: string): void;
}

export class VirtualMonitor {
  readonly virtual: Virtual;
  readonly key: string;
  readonly reals: readonly WatchedReal[];
  readonly #parts: VirtualParts;
  readonly #table: ServiceTable;
  readonly #readdQuiescent: boolean;
  readonly #fallback: Server | undefined;
  readonly #command: FallbackCommand;

  /** What watched the same service until now is looked up by key; its knowledge about servers that stay is taken over. */
  constructor(
    parts: VirtualParts,
    virtual: Virtual,
    readdQuiescent: boolean,
    watchedBefore: ReadonlyMap<string, VirtualMonitor>,
  ) {
    this.virtual = virtual;
    this.key = serviceKey(virtual.service);
    this.#parts = parts;
    this.#table = new ServiceTable(parts, virtual);
    this.#readdQuiescent = readdQuiescent;
    const before = watchedBefore.get(this.key);
    this.#fallback = virtual.fallback && fallbackServer(virtual.service, virtual.fallback);
    this.#command = before === undefined ? new FallbackCommand(parts) : before.#command;
    const known = [...(before?.reals ?? [])];
    const now = parts.clock.now();
    this.reals = virtual.reals.map((real) => WatchedReal.of(virtual, real, known, now));
  }

  get fallbackName(): string | undefined {
    return this.#fallback?.name;
  }

  get fallbackActive(): boolean {
    const fallback = this.#fallback;
    return fallback !== undefined && !this.#anyUp() && this.#table.find(fallback.id) !== undefined;
  }

  putService(): void {
    this.#table.putService();
  }

  /** A reload has taken it away. */
  purgeService(): void {
    this.#table.purgeService('start');
    this.#command.end(this.virtual);
  }

  /** Makes the table agree with what is known: once at start and once at every reload. */
  putServers(): void {
    for (const watched of this.reals) this.#putKnown(watched);
    for (const { id } of this.#table.destinations())
      if (!this.#isConfigured(id)) this.#table.purge(id, 'start');
    this.#switchFallback();
    for (const { server, health } of this.reals) if (health.state !== 'up') this.#putIdle(server, health);
  }

  /** Says that consecutive failures have ended; comes before the result that ends them is applied. */
  announceReset(watched: WatchedReal): void {
    this.#logSoft('Resetting soft failure count', watched, '');
  }

  apply(watched: WatchedReal, result: CheckResult): void {
    const { failurecount } = this.virtual;
    const before = watched.health;
    const was = watched.inMaintenance ? 'in maintenance' : 'down';
    const wasFor = this.#parts.clock.now() - watched.since;
    const { health, judgement } = this.#damp(watched, result, judge(before, result, failurecount));
    watched.lastResult = result;
    if (!result.up) this.#explainFailure(watched, result.detail);
    // A server the director refuses stays out, and is tried again at its next success.
    const refused = judgement === 'comes up' && !this.#table.put(watched.server);
    this.#become(watched, refused ? { state: before.state, failures: 0 } : health);
    if (judgement === 'soft failure') {
      this.#logSoft('Soft failure real server', watched, ` failure ${health.failures}/${failurecount}`);
    }
    if (result.up && !watched.flapping.damped) watched.reason = undefined;
    if (before.state === 'down' && watched.health.state === 'up')
      this.#explain('Recovered real server', watched, `was ${was} for ${shortDuration(wasFor)}`);
    // In maintenance it stays out, whoever put it back in.
    if (judgement === 'goes down' || result.immediate === true) this.#takeOut(watched.server);
    if (judgement !== 'unchanged' && judgement !== 'soft failure') this.#switchFallback();
  }

  /**
   * Takes the real servers that are up out of the table, then the service. Reals whose check id is in `purged` went
   * with an earlier service and are left to the service's own deletion.
   */
  cleanStop(purged: Set<string>): void {
    for (const { real, server, health } of this.reals) {
      if (health.state !== 'up' || purged.has(real.check.id)) continue;
      purged.add(real.check.id);
      this.#table.purge(server.id, 'stop', server.name);
    }
    this.#table.purgeService('stop');
    this.#command.end(this.virtual);
  }

  /** Resolves when the fallback command has ended, if it runs. */
  get commanded(): Promise<void> {
    return this.#command.done;
  }

  #putKnown(watched: WatchedReal): void {
    const carriesTraffic = (this.#table.find(watched.server.id)?.weight ?? 0) > 0;
    if (watched.health.state === 'unchecked' && carriesTraffic)
      this.#become(watched, { state: 'up', failures: 0 });
    if (watched.health.state === 'up') {
      const held = this.#table.put(watched.server) || carriesTraffic;
      if (!held) this.#become(watched, unchecked);
    }
    // Without a check no result will ever come, so this server stays out.
    const undecided = watched.health.state === 'unchecked';
    if (undecided && watched.real.check.type === 'off') this.#become(watched, { state: 'down', failures: 0 });
  }

  #become(watched: WatchedReal, health: Health): void {
    watched.become(health, this.#parts.clock.now());
  }

  /** What is left of a judgement when servers that flap are kept out. Maintenance is no flapping. */
  #damp(watched: WatchedReal, result: CheckResult, judged: Judged): Judged {
    const { flapdamping } = this.virtual;
    const before = watched.flapping;
    if (flapdamping === undefined) return judged;
    const now = this.#parts.clock.now();
    const flaps = watched.health.state !== 'unchecked' && !watched.inMaintenance && result.immediate !== true;
    const moves = judged.judgement === 'goes down' || judged.judgement === 'comes up';
    if (moves && flaps && !before.damped) watched.flapping = damping.changed(before, flapdamping, now);
    if (watched.flapping.damped)
      watched.flapping = damping.checked(watched.flapping, result.up, flapdamping, now);
    const { damped } = watched.flapping;
    const { changes, seconds } = flapdamping;
    if (damped && !before.damped) {
      const why = `${changes} changes within ${seconds} s: out until it has been well for ${seconds} s`;
      this.#explain('Damping real server', watched, why);
    } else if (!damped && before.damped) {
      this.#explain('Damping ended of real server', watched, `well for ${seconds} s`);
    }
    if (!damped || judged.judgement !== 'comes up') return judged;
    return { health: { state: 'down', failures: 0 }, judgement: 'unchanged' };
  }

  #explainFailure(watched: WatchedReal, detail: string): void {
    const { reason } = watched;
    if (reason !== undefined && isSameReason(reason, detail)) return;
    watched.reason = detail;
    const before = reason === undefined ? '' : ` (until now: ${reason})`;
    this.#explain('Failed check of real server', watched, `${detail}${before}`);
  }

  #explain(what: string, { server }: WatchedReal, why: string): void {
    this.#parts.explain(`${what}: ${server.name} (${this.virtual.id}): ${why}`);
  }

  #putIdle(server: Server, health: Health): void {
    if (this.virtual.quiescent) {
      this.#table.quiesce(server);
      this.#table.addQuiescent(server, this.#readdQuiescent ? 'Readd Quiescent' : 'Added');
    } else if (health.state === 'down' && !this.#isFallback(server.id)) {
      this.#table.remove(server);
    }
  }

  #takeOut(server: Server): void {
    if (!this.virtual.quiescent) {
      this.#table.remove(server);
      return;
    }
    this.#table.quiesce(server);
    if (this.#readdQuiescent) this.#table.addQuiescent(server, 'Readd Quiescent');
  }

  #switchFallback(): void {
    const anyUp = this.#anyUp();
    const fallback = this.#fallback;
    if (fallback !== undefined) {
      if (!anyUp) this.#table.put(fallback);
      else if (!this.#servesAsReal(fallback)) this.#table.remove(fallback);
    }
    if (anyUp) this.#command.say('stop', this.virtual);
    else if (this.reals.every(({ health }) => health.state === 'down'))
      this.#command.say('start', this.virtual);
  }

  #anyUp(): boolean {
    return this.reals.some(({ health }) => health.state === 'up');
  }

  /** The fallback may also be one of the real servers; while that one is up the destination is its. */
  #servesAsReal(fallback: Server): boolean {
    return this.reals.some(
      ({ server, health }) => health.state === 'up' && isSameDestination(server.id, fallback.id),
    );
  }

  #isFallback(id: DestinationId): boolean {
    return this.#fallback !== undefined && isSameDestination(this.#fallback.id, id);
  }

  #isConfigured(id: DestinationId): boolean {
    return this.#isFallback(id) || this.reals.some(({ server }) => isSameDestination(server.id, id));
  }

  #logSoft(what: string, { server }: WatchedReal, tail: string): void {
    this.#parts.log(`${what}: ${server.name} (${this.virtual.id})${tail}`);
  }
}
