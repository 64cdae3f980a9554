/**
 * Rates of the counters as IPVS estimates them: a sample every two seconds, each pulling the estimate a quarter of the
 * way to what those two seconds saw. Estimates are whole numbers in IPVS's units, so that listings agree to the digit.
 */
import type { DestinationId, ServiceId } from '../director/table.ts';
import { destinationKey, serviceKey } from '../director/table.ts';
import type { Counters, EngineReport, ServiceReport } from '../engines/engine.ts';
import { zeroCounters } from '../engines/engine.ts';
import { counterFields, mapCounters } from './counter-table.ts';

/** Milliseconds between two samples. */
export const sampleInterval = 2000;

/** Milliseconds by which a sample may be late (or early) and count as one of two seconds all the same. */
const tolerance = 100;

/** Per second. */
export type Rates = Counters;

interface Estimate {
  readonly seen: Counters;
  /** In fractions of one a second: see {@link fractions}. */
  readonly estimates: Counters;
}

interface ServiceEstimate {
  readonly own: Estimate;
  /** By address and port: those that counted something. */
  readonly destinations: ReadonlyMap<string, Estimate>;
}

/** How finely a rate is estimated: bytes in 1/32, everything else in 1/1024 of one a second. */
const fractions = mapCounters((key) =>
  counterFields.some((field) => field.key === key && field.unit === 'bytes') ? 32 : 1024,
);

/** Of what was never seen before. */
const nothing: Estimate = { seen: zeroCounters, estimates: zeroCounters };

export class RateEstimator {
  /** By service: those that counted something. */
  #services = new Map<string, ServiceEstimate>();
  #totals = nothing;
  #sampledAt: number | undefined;

  /**
   * Takes one sample. What is seen for the first time has counted from zero since the sample before, as everything has
   * before the first sample.
   * @param now milliseconds of a monotonic clock
   */
  sample(report: EngineReport, now: number): void {
    const elapsed = this.#sampledAt === undefined ? sampleInterval : now - this.#sampledAt;
    if (elapsed <= 0) return;
    const share = Math.abs(elapsed - sampleInterval) <= tolerance ? 1 : sampleInterval / elapsed;
    const services = new Map<string, ServiceEstimate>();
    for (const service of report.services) {
      if (isEqual(service.counters, zeroCounters)) continue;
      const key = serviceKey(service.id);
      services.set(key, nextOfService(this.#services.get(key), service, share));
    }
    this.#services = services;
    this.#totals = next(this.#totals, report.totals, share);
    this.#sampledAt = now;
  }

  /** Rates to zero at once, of one service or of all; the next sample counts from these counters. */
  zero(service?: ServiceId): void {
    if (service !== undefined) {
      this.#services.delete(serviceKey(service));
      return;
    }
    this.#services.clear();
    this.#totals = nothing;
  }

  /** Whole numbers per second, of a service or of one of its destinations. */
  rates(service: ServiceId, destination?: DestinationId): Rates {
    const found = this.#services.get(serviceKey(service));
    if (found === undefined) return zeroCounters;
    if (destination === undefined) return shown(found.own);
    return shown(found.destinations.get(destinationKey(destination)) ?? nothing);
  }

  /** Whole numbers per second, of all services together. */
  totals(): Rates {
    return shown(this.#totals);
  }
}

/** @param share of two seconds in what passed since the estimate before */
function nextOfService(
  before: ServiceEstimate = { own: nothing, destinations: new Map() },
  service: ServiceReport,
  share: number,
): ServiceEstimate {
  const { own } = before;
  if (isEqual(service.counters, own.seen) && isEqual(own.estimates, zeroCounters)) return before;
  const destinations = new Map<string, Estimate>();
  for (const { id, counters } of service.destinations) {
    if (isEqual(counters, zeroCounters)) continue;
    const key = destinationKey(id);
    const known = before.destinations.get(key) ?? firstSight(counters, own.seen, service.counters);
    destinations.set(key, next(known, counters, share));
  }
  return { own: next(own, service.counters, share), destinations };
}

/**
 * A destination that comes back to connections of its earlier life has their counters. What is new in them the service
 * has counted too.
 */
function firstSight(counters: Counters, serviceBefore: Counters, service: Counters): Estimate {
  const seen = mapCounters((key) => Math.max(0, counters[key] - since(serviceBefore[key], service[key])));
  return { seen, estimates: zeroCounters };
}

function next(before: Estimate, seen: Counters, share: number): Estimate {
  const estimates = mapCounters((key) => {
    const rate = Math.floor((since(before.seen[key], seen[key]) * share * fractions[key]) / 2);
    return before.estimates[key] + Math.floor((rate - before.estimates[key]) / 4);
  });
  return { seen, estimates };
}

/** A counter that went back was zeroed, or its owner restarted: what it shows is what it counted since. */
function since(before: number, now: number): number {
  return now < before ? now : now - before;
}

/** Rounded as IPVS does: up from more than a half. */
function shown({ estimates }: Estimate): Rates {
  return mapCounters((key) => Math.floor((estimates[key] + fractions[key] / 2 - 1) / fractions[key]));
}

function isEqual(a: Counters, b: Counters): boolean {
  return (
    a.connections === b.connections &&
    a.inPackets === b.inPackets &&
    a.outPackets === b.outPackets &&
    a.inBytes === b.inBytes &&
    a.outBytes === b.outBytes
  );
}
