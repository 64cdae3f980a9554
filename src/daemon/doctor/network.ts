/** Networks: an address and how many of its bits count. */
import type { Address } from '../../util/ip.ts';
import { addressBytes } from '../../util/ip.ts';

/** Whether an address is in the network that another one and a prefix length describe. */
export function isWithin(address: Address, network: Address, prefix: number): boolean {
  const [a, b] = [addressBytes(address), addressBytes(network)];
  if (a.length !== b.length) return false;
  return a.every((byte, i) => {
    const bits = Math.min(8, Math.max(0, prefix - 8 * i));
    return ((byte ^ (b[i] ?? 0)) & (0xff00 >> bits) & 0xff) === 0;
  });
}
