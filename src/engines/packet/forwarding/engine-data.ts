/** What the persistence engine of a service finds in a packet; undefined when it finds nothing. */
import { UDP } from '../../../connections/protocols.ts';
import type { IpPacket } from '../../../wire/ip-packet.ts';
import { findCallId } from '../../../wire/sip-call-id.ts';

const UDP_HEADER = 8;

/** @param engine - `sip`, the only one that there is */
export function engineData(engine: string, packet: IpPacket): string | undefined {
  if (engine !== 'sip' || packet.protocol !== UDP) return undefined;
  return findCallId(packet.bytes, packet.transport + UDP_HEADER, packet.at + packet.length);
}
