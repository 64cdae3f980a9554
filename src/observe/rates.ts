/**
 * Rates of the counters as IPVS estimates them: a sample every two seconds, each pulling the estimate a quarter of the
 * way to what those two seconds saw.
 */
import type { DestinationId, ServiceId } from '../director/table.ts';
import { destinationKey, serviceKey } from '../director/table.ts';
import type { Counters, EngineReport } from '../engines/engine.ts';
import { zeroCounters } from '../engines/engine.ts';
import { mapCounters } from './counter-table.ts';

/** Milliseconds between two samples. */
export const sampleInterval = 2000;

/** Per second. */
export type Rates = Counters;

interface Estimate {
  readonly seen: Counters;
  readonly rates: Rates;
}

export class RateEstimator {
  #estimates = new Map<string, Estimate>();
  #sampledAt: number | undefined;

  /** Takes one sample. @param now milliseconds of a monotonic clock */
  sample(report: EngineReport, now: number): void {
    const seconds = this.#sampledAt === undefined ? 0 : (now - this.#sampledAt) / 1000;
    const estimates = new Map<string, Estimate>();
    const take = (key: string, counters: Counters): void => {
      estimates.set(key, next(this.#estimates.get(key), counters, seconds));
    };
    for (const service of report.services) {
      take(keyOf(service.id), service.counters);
      for (const destination of service.destinations) {
        take(keyOf(service.id, destination.id), destination.counters);
      }
    }
    this.#estimates = estimates;
    this.#sampledAt = now;
  }

  /** Rates to zero at once, of one service or of all; the next sample counts from these counters. */
  zero(service?: ServiceId): void {
    const prefix = service === undefined ? '' : keyOf(service);
    for (const key of this.#estimates.keys()) {
      if (service === undefined || key === prefix || key.startsWith(`${prefix} `)) {
        this.#estimates.set(key, { seen: zeroCounters, rates: zeroCounters });
      }
    }
  }

  /** Whole numbers per second, of a service or of one of its destinations. */
  rates(service: ServiceId, destination?: DestinationId): Rates {
    const { rates } = this.#estimates.get(keyOf(service, destination)) ?? { rates: zeroCounters };
    return mapCounters((key) => Math.round(rates[key]));
  }
}

function next(before: Estimate | undefined, seen: Counters, seconds: number): Estimate {
  if (before === undefined || seconds <= 0) return { seen, rates: before?.rates ?? zeroCounters };
  const rates = mapCounters((key) => {
    // A counter that went back was zeroed, or its owner restarted: what it shows is what it counted since.
    const delta = seen[key] < before.seen[key] ? seen[key] : seen[key] - before.seen[key];
    return before.rates[key] + (delta / seconds - before.rates[key]) / 4;
  });
  return { seen, rates };
}

function keyOf(service: ServiceId, destination?: DestinationId): string {
  return destination === undefined
    ? serviceKey(service)
    : `${serviceKey(service)} ${destinationKey(destination)}`;
}
