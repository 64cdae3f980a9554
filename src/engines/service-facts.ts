/** What follows from a service's or a destination's settings for whoever forwards packets, in the numbers of protocols and of IPVS. */
import { TCP, UDP } from '../connections/protocols.ts';
import type {
  DestinationSettings,
  Forwarding,
  Protocol,
  ServiceId,
  ServiceSettings,
} from '../director/table.ts';

export const FTP = 21;
export const FTP_DATA = 20;
const SCTP = 132;

/** Forwarding methods, with IPVS's numbers. */
export const Method = { masq: 0, local: 1, tunnel: 2, direct: 3 } as const;
export type Method = (typeof Method)[keyof typeof Method];

const methods = { masq: Method.masq, gate: Method.direct, ipip: Method.tunnel, local: Method.local } as const;

export function methodOf(forwarding: Forwarding): Method {
  return methods[forwarding];
}

export function protocolNumber(protocol: Protocol): number {
  return protocol === 'tcp' ? TCP : protocol === 'udp' ? UDP : SCTP;
}

/** The protocols in which destinations of this service answer. */
export function protocolsOf(service: ServiceId): readonly number[] {
  return service.kind === 'address' ? [protocolNumber(service.protocol)] : [TCP, UDP];
}

/** Port that a service is for; 0 for a firewall mark, and for every port. */
export function servicePort(service: ServiceId): number {
  return service.kind === 'fwmark' ? 0 : service.port;
}

/** Persistence templates of such a service cover all ports of the virtual address: FTP's for its data connections. */
export function coversEveryPort(service: ServiceId): boolean {
  const port = servicePort(service);
  return port === 0 || port === FTP;
}

/**
 * Whether such a destination may begin connections: a NAT server of a UDP service with a persistence engine. What it sends goes on from the
 * virtual address, though no client has spoken before.
 */
export function mayBegin(
  service: ServiceId,
  { persistenceEngine }: Pick<ServiceSettings, 'persistenceEngine'>,
  { forwarding }: Pick<DestinationSettings, 'forwarding'>,
): boolean {
  if (persistenceEngine === '' || service.kind !== 'address' || service.protocol !== 'udp') return false;
  // of a service of every port nobody could say which one the packet is to come from
  return service.port !== 0 && forwarding === 'masq';
}
