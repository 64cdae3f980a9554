/**
 * Packets that nobody can have sent from outside (RFC 1812, section 5.3.7; RFC 4291, sections 2.5.3 and 2.7). The kernel drops them before
 * IPVS sees them; here they are dropped before anything is done for them, lest somebody passes for this host itself or has answers
 * sent to a group. Hot path.
 */
import type { IpPacket } from '../../../wire/ip-packet.ts';

const LOOPBACK = 127;
const GROUPS = 0xe;

export function isMartian(packet: IpPacket): boolean {
  return packet.family === 4 ? isMartianIpv4(packet) : isMartianIpv6(packet);
}

/** From this network, loopback, a group, or everybody; to this network or loopback. */
function isMartianIpv4(packet: IpPacket): boolean {
  const source = packet.sourceWord(0);
  const destination = packet.destinationWord(0);
  const from = source >>> 24;
  const to = destination >>> 24;
  return (
    from === 0 || from === LOOPBACK || from >> 4 === GROUPS || source === -1 || to === 0 || to === LOOPBACK
  );
}

/** From nobody, loopback, a group or a mapped IPv4 address; to nobody or loopback. */
function isMartianIpv6(packet: IpPacket): boolean {
  const source = packet.sourceWord(0);
  const destination = packet.destinationWord(0);
  if (source >>> 24 === 0xff) return true;
  if (source === 0 && packet.sourceWord(1) === 0) {
    const third = packet.sourceWord(2);
    if (third === 0xffff || (third === 0 && isNobodyOrLoopback(packet.sourceWord(3)))) return true;
  }
  const toLow = destination === 0 && packet.destinationWord(1) === 0 && packet.destinationWord(2) === 0;
  return toLow && isNobodyOrLoopback(packet.destinationWord(3));
}

function isNobodyOrLoopback(lastWord: number): boolean {
  return lastWord === 0 || lastWord === 1;
}
