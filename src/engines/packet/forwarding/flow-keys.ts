/** The keys under which a packet's connection is found. Hot path. */
import type { ConnectionKey } from '../../../connections/connection-key.ts';
import type { IpPacket } from '../../../wire/ip-packet.ts';

const PORTS = 9;

/** As if the packet went from client to virtual endpoint; or, for `findReply`, to the destination. */
export function keyOfFlow(key: ConnectionKey, packet: IpPacket): void {
  key.words[0] = packet.protocol | (packet.family << 8);
  packet.copySource(key.client);
  packet.copyDestination(key.virtual);
  key.words[PORTS] = (packet.sourcePort << 16) | packet.destinationPort;
}

/** As if the packet came back: from the virtual endpoint to the client; or, for `findReply`, from the destination. */
export function keyOfReply(key: ConnectionKey, packet: IpPacket): void {
  key.words[0] = packet.protocol | (packet.family << 8);
  packet.copyDestination(key.client);
  packet.copySource(key.virtual);
  key.words[PORTS] = (packet.destinationPort << 16) | packet.sourcePort;
}
