/**
 * What a listing shows of a virtual service: the director's table and the engine's counters in one record. Every
 * rendering, from `ipvsadm -L` to the status page, starts here.
 */
import type { Destination, DestinationId, ServiceId, VirtualService } from '../director/table.ts';
import { destinationKey, serviceKey } from '../director/table.ts';
import type { Counters, DestinationReport, EngineReport, ServiceReport } from '../engines/engine.ts';
import { zeroCounters } from '../engines/engine.ts';
import type { Rates } from './rates.ts';

export interface DestinationListing extends Destination {
  readonly counters: Counters;
  readonly rates: Rates;
  readonly active: number;
  readonly inactive: number;
  readonly persistent: number;
}

export interface ServiceListing extends VirtualService {
  readonly counters: Counters;
  readonly rates: Rates;
  /** Newest first. */
  readonly destinations: readonly DestinationListing[];
}

/** Where the rates come from. */
export interface RateSource {
  rates(service: ServiceId, destination?: DestinationId): Rates;
}

/** The services with what the engine reports of them; zeros where it reports nothing yet. */
export function listServices(
  services: readonly VirtualService[],
  report: EngineReport,
  rates: RateSource,
): readonly ServiceListing[] {
  const reports = new Map(report.services.map((service) => [serviceKey(service.id), service]));
  return services.map((service) => listService(service, reports.get(serviceKey(service.id)), rates));
}

function listService(
  service: VirtualService,
  report: ServiceReport | undefined,
  rates: RateSource,
): ServiceListing {
  const reports = new Map(
    report?.destinations.map((destination) => [destinationKey(destination.id), destination]),
  );
  return {
    ...service,
    counters: report?.counters ?? zeroCounters,
    rates: rates.rates(service.id),
    destinations: service.destinations.map((destination) => ({
      ...destination,
      ...countsOf(reports.get(destinationKey(destination.id))),
      rates: rates.rates(service.id, destination.id),
    })),
  };
}

function countsOf(
  report: DestinationReport | undefined,
): Pick<DestinationListing, 'counters' | 'active' | 'inactive' | 'persistent'> {
  return {
    counters: report?.counters ?? zeroCounters,
    active: report?.active ?? 0,
    inactive: report?.inactive ?? 0,
    persistent: report?.persistent ?? 0,
  };
}
