/** What all steps of forwarding share. */
import type { ConnectionTable } from '../../../connections/connection-table.ts';
import type { PersistenceTable } from '../../../connections/persistence.ts';
import type { Pool, PoolSize } from '../../../scheduling/pool.ts';
import type { IpPacket } from '../../../wire/ip-packet.ts';
import type { Tallies } from '../../tallies.ts';
import type { BeginningServers } from './beginning-servers.ts';
import type { Destinations } from './destinations.ts';
import type { Egress } from './egress.ts';
import type { Services } from './services.ts';
import type { Drops } from './verdict.ts';
import type { VsSettings } from '../../vs-settings.ts';

export interface ForwarderParts {
  readonly pool: Pool;
  readonly size: PoolSize;
  /** One row a service slot, then one a destination slot. */
  readonly tallies: Tallies;
  readonly services: Services;
  readonly destinations: Destinations;
  readonly beginners: BeginningServers;
  readonly connections: ConnectionTable;
  readonly templates: PersistenceTable;
  readonly settings: VsSettings;
  readonly egress: Egress;
  readonly drops: Drops;
  /** The firewall mark of a packet, 0 for none. Asked only while there are services with marks. */
  mark(packet: IpPacket): number;
  /** A client asks again for a NAT connection of which no reply came through the director. */
  unanswered(destination: number, client: Int32Array): void;
  /** A view for whoever needs one for a moment. */
  readonly scratch: IpPacket;
  /** 32 random bits, for the identification of packets that the director makes. */
  readonly seed: number;
}

/** The flags of an entry of the connection table, as the packet engine uses them. */
export const METHOD_MASK = 0x3;
/** A reply came through the director. */
export const REPLIED = 0x4;
