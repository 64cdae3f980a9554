/** What the director wants to know about this host's network interfaces. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { Address } from '../util/ip.ts';
import { addressBytes, formatAddress } from '../util/ip.ts';
import type { Clock } from '../util/clock.ts';

/** Milliseconds for which the addresses of this host are remembered: a restore asks for thousands. */
const remembered = 1000;

/** MTU in bytes, undefined when there is no such interface. */
export function interfaceMtu(name: string): number | undefined {
  if (!/^[^/]+$/.test(name) || name === '.' || name === '..') return undefined;
  try {
    return Number(readFileSync(`/sys/class/net/${name}/mtu`, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Tells broadcast addresses of the networks that this host is on. */
export function hostBroadcasts(clock: Clock): (address: Address) => boolean {
  let known: ReadonlySet<Address> = new Set();
  let until = -Infinity;
  return (address) => {
    const now = clock.now();
    if (now >= until) {
      known = broadcasts();
      until = now + remembered;
    }
    return known.has(address);
  };
}

function broadcasts(): ReadonlySet<Address> {
  const ipv4 = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family }) => family === 'IPv4');
  return new Set(
    ipv4.flatMap(({ address, netmask }) => {
      const mask = addressBytes(netmask);
      // A network of one or two addresses has none.
      if ((mask[3] ?? 0) >= 0xfe) return [];
      return [formatAddress(addressBytes(address).map((byte, i) => byte | (~(mask[i] ?? 0) & 0xff)))];
    }),
  );
}
