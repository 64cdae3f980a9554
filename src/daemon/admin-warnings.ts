/**
 * What commands over the control socket put into the table though nobody acts on it, said in the log: to whoever typed
 * them nothing is wrong, as with ipvsadm. What a configuration asks for is warned of when it is loaded (`refusals.ts`).
 */
import type { Director } from '../director/director.ts';
import type { ServiceId, VirtualService } from '../director/table.ts';
import { destinationKey, serviceKey } from '../director/table.ts';
import type { Verb } from '../director/verbs.ts';
import type { Engine } from '../engines/engine.ts';
import type { Clock, Timer } from '../util/clock.ts';

export interface AdminWarningsParts {
  readonly director: Pick<Director, 'find'>;
  readonly engine: Pick<Engine, 'refuses'>;
  readonly clock: Clock;
  warn(message: string): void;
}

/** Milliseconds: what is refused for the same reason within this time is one line. */
const patience = 200;

export class AdminWarnings {
  readonly #parts: AdminWarningsParts;
  /** Services that commands changed since the last lines. */
  readonly #touched = new Map<string, ServiceId>();
  /** Reasons that were given for a service, by its key. */
  readonly #said = new Map<string, ReadonlySet<string>>();
  #timer: Timer | undefined;
  #saidSync = false;

  constructor(parts: AdminWarningsParts) {
    this.#parts = parts;
  }

  /** A command was carried out. */
  applied(verb: Verb): void {
    switch (verb.verb) {
      case 'add-service':
      case 'edit-service':
      case 'delete-service':
      case 'add-destination':
      case 'edit-destination':
        this.#touched.set(serviceKey(verb.service), verb.service);
        this.#timer ??= this.#parts.clock.after(patience, () => {
          this.#sayRefusals();
        });
        return;
      case 'flush':
        this.#said.clear();
        return;
      case 'start-daemon':
        this.#saySync();
        return;
      default:
        return;
    }
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #sayRefusals(): void {
    this.#timer = undefined;
    const byReason = new Map<string, string[]>();
    for (const [key, id] of this.#touched) {
      const reasons = this.#refused(id);
      const before = this.#said.get(key);
      for (const [reason, subject] of reasons) {
        if (before?.has(reason) === true) continue;
        const subjects = byReason.get(reason);
        if (subjects === undefined) byReason.set(reason, [subject]);
        else subjects.push(subject);
      }
      if (reasons.size > 0) this.#said.set(key, new Set(reasons.keys()));
      else this.#said.delete(key);
    }
    this.#touched.clear();
    for (const [reason, [first = '', ...more]] of byReason) {
      const others = more.length > 0 ? `; the same for ${more.length} more` : '';
      this.#parts.warn(`${first}: ${reason}${others}`);
    }
  }

  /** Why a service, or destinations of it, get no traffic: what of it by reason. Empty for one that is gone. */
  #refused(id: ServiceId): ReadonlyMap<string, string> {
    const service = this.#parts.director.find(id);
    if (service === undefined) return new Map();
    const whole = this.#parts.engine.refuses(id, service.settings);
    return whole === undefined ? this.#refusedDestinations(service) : new Map([[whole, serviceKey(id)]]);
  }

  #refusedDestinations({ id, settings, destinations }: VirtualService): ReadonlyMap<string, string> {
    const reasons = new Map<string, string>();
    for (const destination of destinations) {
      const reason = this.#parts.engine.refuses(id, settings, destination);
      if (reason === undefined || reasons.has(reason)) continue;
      reasons.set(reason, `${destinationKey(destination.id)} of ${serviceKey(id)}`);
    }
    return reasons;
  }

  #saySync(): void {
    if (this.#saidSync) return;
    this.#saidSync = true;
    this.#parts.warn(
      'start-daemon: the sync daemon is kept and listed only: this version of directord does not synchronise connections yet',
    );
  }
}
