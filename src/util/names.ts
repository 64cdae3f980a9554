/** Names of hosts and services, passed in wherever configuration or arguments are read, so that tests need no DNS. */
import type { Address, Family } from './ip.ts';

export interface Names {
  /** First address of that family, canonical; undefined when the name does not resolve. */
  address(host: string, family: Family): Promise<Address | undefined>;
  /** Reverse lookup; undefined when there is no name. */
  host(address: Address): Promise<string | undefined>;
  /** Port of a service name (`/etc/services`). */
  port(service: string, protocol: 'tcp' | 'udp' | 'sctp'): number | undefined;
  /** Service name of a port. */
  service(port: number, protocol: 'tcp' | 'udp' | 'sctp'): string | undefined;
}
