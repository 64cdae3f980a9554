/**
 * A real or fallback server on its way into the table: the name the configuration gives it, and the destination the
 * table keeps it under. Only NAT can change a port, so gate and ipip destinations are kept under the service's port.
 */
import type { Fallback, Real } from '../config/model.ts';
import type { DestinationId, DestinationSettings, Forwarding, ServiceId } from '../director/table.ts';
import { destinationKey, ipipTunnel } from '../director/table.ts';
import { formatEndpoint } from '../util/ip.ts';

export interface Server {
  readonly kind: 'real' | 'fallback';
  /** As configured: `10.2.0.11:8080`. */
  readonly name: string;
  readonly id: DestinationId;
  readonly settings: DestinationSettings;
}

export function realServer(service: ServiceId, real: Real): Server {
  const { forwarding, weight, upperThreshold, lowerThreshold } = real;
  return {
    kind: 'real',
    name: formatEndpoint(real.address, real.port),
    id: { address: real.address, port: destinationPort(service, forwarding, real.port) },
    settings: { forwarding, weight, upperThreshold, lowerThreshold, tunnel: ipipTunnel },
  };
}

export function fallbackServer(service: ServiceId, fallback: Fallback): Server {
  const { forwarding } = fallback;
  return {
    kind: 'fallback',
    name: formatEndpoint(fallback.address, fallback.port),
    id: { address: fallback.address, port: destinationPort(service, forwarding, fallback.port) },
    settings: { forwarding, weight: 1, upperThreshold: 0, lowerThreshold: 0, tunnel: ipipTunnel },
  };
}

/** The table's name for it, followed by the configured one where they differ. */
export function mappedName(server: Server): string {
  const key = destinationKey(server.id);
  return key === server.name ? key : `${key} mapped from ${server.name}`;
}

export function isSameDestination(a: DestinationId, b: DestinationId): boolean {
  return a.port === b.port && a.address === b.address;
}

function destinationPort(service: ServiceId, forwarding: Forwarding, port: number): number {
  if (service.kind === 'fwmark') return port;
  return forwarding === 'masq' && port !== 0 ? port : service.port;
}
