/**
 * A service's listing as it travels: destinations and counters as rows of plain values, in a fixed order, a fifth of the bytes that
 * the same would have with its names. Ten thousand services with four destinations each are asked for by scripts in a loop.
 */
import type { Counters } from '../engines/engine.ts';
import type { DestinationListing, ServiceListing } from '../observe/listing.ts';
import { address, destinationMembers, serviceId, serviceSettings } from './read-table.ts';
import type { Reader } from './shape.ts';
import { array, expected, integer, object, quantity } from './shape.ts';

type Row = readonly unknown[];

/** What {@link serviceListing} reads. */
export function listingRow({ id, settings, counters, rates, destinations }: ServiceListing): unknown {
  return {
    id,
    settings,
    counters: counterRow(counters),
    rates: counterRow(rates),
    destinations: destinations.map(destinationRow),
  };
}

function destinationRow(destination: DestinationListing): Row {
  const { id, forwarding, weight, upperThreshold, lowerThreshold, tunnel } = destination;
  const { active, inactive, persistent, counters, rates } = destination;
  return [
    id.address,
    id.port,
    forwarding,
    weight,
    upperThreshold,
    lowerThreshold,
    tunnel,
    active,
    inactive,
    persistent,
    counterRow(counters),
    counterRow(rates),
  ];
}

/** Empty for nothing but zeros, as most are in a big table. */
function counterRow({ connections, inPackets, outPackets, inBytes, outBytes }: Counters): readonly number[] {
  const isZero = connections + inPackets + outPackets + inBytes + outBytes === 0;
  return isZero ? noCounts : [connections, inPackets, outPackets, inBytes, outBytes];
}

const noCounts: readonly number[] = [];

const zeroCounters: Counters = { connections: 0, inPackets: 0, outPackets: 0, inBytes: 0, outBytes: 0 };

const port = integer(0, 65535);

const counters: Reader<Counters> = (value) => {
  if (Array.isArray(value) && value.length === 0) return zeroCounters;
  const [connections = 0, inPackets = 0, outPackets = 0, inBytes = 0, outBytes = 0] = quantities(value);
  return { connections, inPackets, outPackets, inBytes, outBytes };
};

const quantities = array(quantity);

const { forwarding, weight, upperThreshold, lowerThreshold, tunnel } = destinationMembers;

const destinationListing: Reader<DestinationListing> = (row) => {
  if (!Array.isArray(row)) return expected('an array');
  const values: Row = row;
  return {
    id: { address: address(values[0]), port: port(values[1]) },
    forwarding: forwarding(values[2]),
    weight: weight(values[3]),
    upperThreshold: upperThreshold(values[4]),
    lowerThreshold: lowerThreshold(values[5]),
    tunnel: tunnel(values[6]),
    active: quantity(values[7]),
    inactive: quantity(values[8]),
    persistent: quantity(values[9]),
    counters: counters(values[10]),
    rates: counters(values[11]),
  };
};

export const serviceListing: Reader<ServiceListing> = object({
  id: serviceId,
  settings: serviceSettings,
  counters,
  rates: counters,
  destinations: array(destinationListing),
});
