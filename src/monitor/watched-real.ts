/** One real server under watch: everything that is known about it, and what of that a reload keeps. */
import type { Real, Virtual } from '../config/model.ts';
import type { CheckResult } from './check.ts';
import { questionOf } from './check.ts';
import type { Flapping } from './damping.ts';
import { steady } from './damping.ts';
import type { Health } from './judgement.ts';
import { unchecked } from './judgement.ts';
import type { Server } from './server.ts';
import { realServer } from './server.ts';

export class WatchedReal {
  readonly real: Real;
  readonly server: Server;
  /** Who asks the same gets the same answer. */
  readonly question: string;
  lastResult: CheckResult | undefined;
  flapping: Flapping = steady;
  /** Why it fails, as the operator was told last. */
  reason: string | undefined;
  #health: Health = unchecked;
  #since: number;

  constructor(real: Real, server: Server, now: number) {
    this.real = real;
    this.server = server;
    this.question = questionOf(real.check);
    this.#since = now;
  }

  /** What `known` says about the same server is kept and taken from the list; its count only if the check is the same. */
  static of(virtual: Virtual, real: Real, known: WatchedReal[], now: number): WatchedReal {
    const watched = new WatchedReal(real, realServer(virtual.service, real), now);
    const index = known.findIndex((candidate) => candidate.server.name === watched.server.name);
    const before = index < 0 ? undefined : known.splice(index, 1)[0];
    if (before !== undefined) watched.#goOnFrom(before, virtual);
    return watched;
  }

  get health(): Health {
    return this.#health;
  }

  /** When it came into service, went out of it, or was first watched; milliseconds of the monitor's clock. */
  get since(): number {
    return this.#since;
  }

  get inMaintenance(): boolean {
    return this.#health.state === 'down' && this.lastResult?.immediate === true;
  }

  /** The state with the reason why a server is out that might be well. */
  get condition(): Health['state'] | 'maintenance' | 'damped' {
    if (this.inMaintenance) return 'maintenance';
    return this.#health.state === 'down' && this.flapping.damped ? 'damped' : this.#health.state;
  }

  become(health: Health, now: number): void {
    if (health.state !== this.#health.state) this.#since = now;
    this.#health = health;
  }

  #goOnFrom(before: WatchedReal, { flapdamping }: Virtual): void {
    const sameCheck = before.question === this.question;
    this.#health = sameCheck ? before.#health : { state: before.#health.state, failures: 0 };
    this.#since = before.#since;
    this.lastResult = before.lastResult;
    this.reason = before.reason;
    if (flapdamping !== undefined) this.flapping = before.flapping;
  }
}
