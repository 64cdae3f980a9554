/** Whether this host is a router: `net.ipv4.ip_forward`, `net.ipv6.conf.all.forwarding`. */
import { readFileSync } from 'node:fs';

const settings = { 4: '/proc/sys/net/ipv4/ip_forward', 6: '/proc/sys/net/ipv6/conf/all/forwarding' } as const;

/** @returns false too where the kernel has no such family */
export function isRouter(family: 4 | 6): boolean {
  try {
    return readFileSync(settings[family], 'latin1').trim() !== '0';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
