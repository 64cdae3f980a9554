/** Readers of what a table is made of: services, destinations, verbs. Addresses come out canonical. */
import type {
  AddressService,
  DestinationId,
  DestinationSettings,
  FwmarkService,
  ServiceId,
  ServiceSettings,
  SyncDaemon,
  Timeouts,
  Tunnel,
} from '../director/table.ts';
import type { Verb } from '../director/verbs.ts';
import type { Address } from '../util/ip.ts';
import { canonicalAddress } from '../util/ip.ts';
import type { Reader } from './shape.ts';
import { expected, integer, object, oneOf, tagged, text, truth } from './shape.ts';

const port = integer(0, 65535);
const uint31 = integer(0, 0x7fffffff);
const seconds = integer(0, 2678400);

export const address: Reader<Address> = (value) =>
  (typeof value === 'string' ? canonicalAddress(value) : undefined) ?? expected('an IP address');

export const serviceId: Reader<ServiceId> = tagged('kind', {
  address: object({
    kind: oneOf('address'),
    protocol: oneOf('tcp', 'udp', 'sctp'),
    address,
    port,
  }) satisfies Reader<AddressService>,
  fwmark: object({
    kind: oneOf('fwmark'),
    mark: integer(0, 0xffffffff),
    family: oneOf('inet', 'inet6'),
  }) satisfies Reader<FwmarkService>,
});

export const serviceSettings: Reader<ServiceSettings> = object({
  scheduler: text(32),
  schedulerFlags: integer(0, 7),
  persistence: seconds,
  netmask: integer(0, 0xffffffff),
  persistenceEngine: text(32),
  onePacket: truth,
  proxyProtocol: oneOf('none', 'v1', 'v2'),
});

const destinationId: Reader<DestinationId> = object({ address, port });

const tunnel: Reader<Tunnel> = object({
  type: oneOf('ipip', 'gue', 'gre'),
  port,
  checksum: oneOf('nocsum', 'csum', 'remcsum'),
});

/** The readers of a destination's settings, for whatever has them as members. */
export const destinationMembers = {
  forwarding: oneOf('masq', 'gate', 'ipip', 'local'),
  weight: uint31,
  upperThreshold: uint31,
  lowerThreshold: uint31,
  tunnel,
} as const;

const destinationSettings: Reader<DestinationSettings> = object(destinationMembers);

export const timeouts: Reader<Timeouts> = object({ tcp: seconds, tcpFin: seconds, udp: seconds });

export const syncDaemon: Reader<SyncDaemon> = object({
  role: oneOf('master', 'backup'),
  interface: text(16),
  syncId: integer(0, 255),
  maxLength: integer(0, 65507),
  group: address,
  port: integer(1, 65535),
  ttl: integer(1, 255),
});

export const verb: Reader<Verb> = tagged('verb', {
  'add-service': object({ verb: oneOf('add-service'), service: serviceId, settings: serviceSettings }),
  'edit-service': object({ verb: oneOf('edit-service'), service: serviceId, settings: serviceSettings }),
  'delete-service': object({ verb: oneOf('delete-service'), service: serviceId }),
  'add-destination': object({
    verb: oneOf('add-destination'),
    service: serviceId,
    destination: destinationId,
    settings: destinationSettings,
  }),
  'edit-destination': object({
    verb: oneOf('edit-destination'),
    service: serviceId,
    destination: destinationId,
    settings: destinationSettings,
  }),
  'delete-destination': object({
    verb: oneOf('delete-destination'),
    service: serviceId,
    destination: destinationId,
  }),
  flush: object({ verb: oneOf('flush') }),
  zero: object({ verb: oneOf('zero') }, { service: serviceId }),
  'set-timeouts': object({ verb: oneOf('set-timeouts'), timeouts }),
  'start-daemon': object({ verb: oneOf('start-daemon'), daemon: syncDaemon }),
  'stop-daemon': object({ verb: oneOf('stop-daemon'), role: oneOf('master', 'backup') }),
});
