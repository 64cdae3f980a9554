/**
 * Whether loopback takes packets that come from an address of this host (`net.ipv4.conf.lo.accept_local`). Replies to a client on the
 * director itself do, from the virtual address, once they have been a real server's. IPv6 has no such question.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const setting = '/proc/sys/net/ipv4/conf/lo/accept_local';

/** @returns whether it was otherwise before; @throws where it cannot be changed */
export function acceptOwnPackets(accept: boolean): boolean {
  if ((readFileSync(setting, 'latin1').trim() !== '0') === accept) return false;
  writeFileSync(setting, accept ? '1' : '0');
  return true;
}
