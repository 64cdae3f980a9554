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
  { id, settings, destinations }: VirtualService,
  report: ServiceReport | undefined,
  rates: RateSource,
): ServiceListing {
  const counters = report?.counters ?? zeroCounters;
  // what has counted nothing has no rates, and in a big table that is nearly everything
  const counted = counters.inPackets + counters.outPackets + counters.connections > 0;
  const reportOf = reports(destinations, report?.destinations ?? []);
  return {
    id,
    settings,
    counters,
    rates: counted ? rates.rates(id) : zeroCounters,
    destinations: destinations.map((destination, at) => {
      const found = reportOf(destination.id, at);
      return {
        id: destination.id,
        forwarding: destination.forwarding,
        weight: destination.weight,
        upperThreshold: destination.upperThreshold,
        lowerThreshold: destination.lowerThreshold,
        tunnel: destination.tunnel,
        counters: found?.counters ?? zeroCounters,
        active: found?.active ?? 0,
        inactive: found?.inactive ?? 0,
        persistent: found?.persistent ?? 0,
        rates: counted ? rates.rates(id, destination.id) : zeroCounters,
      };
    }),
  };
}

/** An engine's order is that of addition, a table's the reverse; where both have the same destinations, none is looked for. */
function reports(
  destinations: readonly Destination[],
  found: readonly DestinationReport[],
): (id: DestinationId, at: number) => DestinationReport | undefined {
  let byKey: Map<string, DestinationReport> | undefined;
  return (id, at) => {
    const opposite = found[destinations.length - 1 - at];
    if (opposite?.id.address === id.address && opposite.id.port === id.port) return opposite;
    byKey ??= new Map(found.map((each) => [destinationKey(each.id), each]));
    return byKey.get(destinationKey(id));
  };
}
