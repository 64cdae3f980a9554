/** What the director wants to know about a network interface. */
import { readFileSync } from 'node:fs';

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
