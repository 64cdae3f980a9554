/**
 * What the director's table holds: virtual services and their destinations, with exactly the attributes that
 * ipvsadm can give them. Types only; the verbs that change the table are in `verbs.ts`.
 */
import type { Address, Family } from '../util/ip.ts';
import { familyOf, formatEndpoint } from '../util/ip.ts';

export type Protocol = 'tcp' | 'udp' | 'sctp';

/** A virtual service named by what clients connect to. */
export interface AddressService {
  readonly kind: 'address';
  readonly protocol: Protocol;
  readonly address: Address;
  /** 0 means every port of the address (needs persistence). */
  readonly port: number;
}

/** A virtual service named by the firewall mark its packets carry. */
export interface FwmarkService {
  readonly kind: 'fwmark';
  /** 1..4294967295 */
  readonly mark: number;
  readonly family: Family;
}

export type ServiceId = AddressService | FwmarkService;

export interface ServiceSettings {
  /** Kernel name of the scheduler (`rr`, `wlc`, ... or `none`). */
  readonly scheduler: string;
  /** Bit set of scheduler flags: 1 flag-1 (sh-fallback, mh-fallback), 2 flag-2 (sh-port, mh-port), 4 flag-3. */
  readonly schedulerFlags: number;
  /** Persistence timeout in seconds; 0 is not persistent. */
  readonly persistence: number;
  /** IPv4: 32-bit host-order mask (0xffffffff by default). IPv6: prefix length (128 by default). */
  readonly netmask: number;
  /** Persistence engine (`sip`), or empty. */
  readonly persistenceEngine: string;
  /** One-packet scheduling (UDP). */
  readonly onePacket: boolean;
  /** Ours, not IPVS's: the PROXY protocol header the relay engine sends to real servers. */
  readonly proxyProtocol: 'none' | 'v1' | 'v2';
}

export type Forwarding = 'masq' | 'gate' | 'ipip' | 'local';

/** How `ipip` packets are wrapped. Port (gue only) 1..65535, else 0. */
export interface Tunnel {
  readonly type: 'ipip' | 'gue' | 'gre';
  readonly port: number;
  readonly checksum: 'nocsum' | 'csum' | 'remcsum';
}

export interface DestinationId {
  readonly address: Address;
  readonly port: number;
}

export interface DestinationSettings {
  readonly forwarding: Forwarding;
  /** 0..2147483647; 0 is quiescent. */
  readonly weight: number;
  /** 0 is no threshold. */
  readonly upperThreshold: number;
  readonly lowerThreshold: number;
  readonly tunnel: Tunnel;
}

export interface Destination extends DestinationSettings {
  readonly id: DestinationId;
}

export interface VirtualService {
  readonly id: ServiceId;
  readonly settings: ServiceSettings;
  /** Newest first: the order in which the kernel, and so every scheduler, walks them. */
  readonly destinations: readonly Destination[];
}

/** Connection timeouts in seconds (`ipvsadm --set`). */
export interface Timeouts {
  readonly tcp: number;
  readonly tcpFin: number;
  readonly udp: number;
}

export const defaultTimeouts: Timeouts = { tcp: 900, tcpFin: 120, udp: 300 };

export type SyncRole = 'master' | 'backup';

/** A connection synchronisation daemon (`ipvsadm --start-daemon`). */
export interface SyncDaemon {
  readonly role: SyncRole;
  /** Multicast interface. */
  readonly interface: string;
  /** 0..255 */
  readonly syncId: number;
  /** Largest sync message in bytes. */
  readonly maxLength: number;
  /** Multicast group, IPv4 or IPv6. */
  readonly group: Address;
  readonly port: number;
  readonly ttl: number;
}

export const ipipTunnel: Tunnel = { type: 'ipip', port: 0, checksum: 'nocsum' };

export function serviceFamily(id: ServiceId): Family {
  return id.kind === 'fwmark' ? id.family : familyOf(id.address);
}

/** Unique text of a service, as ldirectord writes it: `tcp:10.1.0.100:80`, `udp:[2001:db8::1]:53`, `fwm:7`, `fwm6:7`. */
export function serviceKey(id: ServiceId): string {
  if (id.kind === 'fwmark') return `${id.family === 'inet' ? 'fwm' : 'fwm6'}:${id.mark}`;
  return `${id.protocol}:${formatEndpoint(id.address, id.port)}`;
}

/** Unique text of a destination within its service: `10.2.0.11:80`, `[2001:db8::11]:80`. */
export function destinationKey(id: DestinationId): string {
  return formatEndpoint(id.address, id.port);
}
