/** Readers of what a director reports: listings with counters, and connections. */
import type { ConnectionEntry, Counters } from '../engines/engine.ts';
import type { DestinationListing, ServiceListing } from '../observe/listing.ts';
import { address, destinationId, destinationMembers, serviceId, serviceSettings } from './read-table.ts';
import type { Reader } from './shape.ts';
import { array, integer, object, oneOf, quantity, text } from './shape.ts';

const counters: Reader<Counters> = object({
  connections: quantity,
  inPackets: quantity,
  outPackets: quantity,
  inBytes: quantity,
  outBytes: quantity,
});

const destinationListing: Reader<DestinationListing> = object({
  id: destinationId,
  ...destinationMembers,
  counters,
  rates: counters,
  active: quantity,
  inactive: quantity,
  persistent: quantity,
});

export const serviceListing: Reader<ServiceListing> = object({
  id: serviceId,
  settings: serviceSettings,
  counters,
  rates: counters,
  destinations: array(destinationListing),
});

const port = integer(0, 65535);

export const connectionEntry: Reader<ConnectionEntry> = object({
  protocol: oneOf('tcp', 'udp', 'sctp', 'ip'),
  state: text(32),
  expires: quantity,
  client: address,
  clientPort: port,
  virtual: address,
  virtualPort: port,
  destination: address,
  destinationPort: port,
});
