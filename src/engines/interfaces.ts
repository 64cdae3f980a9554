/** Which of this host's interfaces the engines that forward packets look at, and which addresses are its own. */
import type { InterfaceAddress, Link } from '../platform/netlink.ts';
import type { Address } from '../util/ip.ts';

/** Those that packets come by now: the ones that are up. */
export function captureLinks(links: readonly Link[]): Link[] {
  return ethernetLinks(links).filter(({ up }) => up);
}

/**
 * Ethernet interfaces. Ports of bridges and bonds are left out: their packets pass the bridge or bond too, which is where the
 * addresses and routes are. With VRFs it is the other way round.
 */
export function ethernetLinks(links: readonly Link[]): Link[] {
  const kinds = new Map(links.map(({ index, kind }) => [index, kind]));
  return links.filter(
    ({ ethernet, loopback, master, kind }) =>
      ethernet && !loopback && kind !== 'vrf' && (master === 0 || kinds.get(master) === 'vrf'),
  );
}

/** Each address of this host once. */
export function ownAddresses(addresses: readonly InterfaceAddress[]): Address[] {
  return [...new Set(addresses.map(({ address }) => address))];
}
