/**
 * How addresses and ports are shown: as numbers, or with the names that were looked up beforehand, all at once, so
 * that printing itself waits for nothing.
 */
import type { Protocol } from '../director/table.ts';
import type { Address } from '../util/ip.ts';
import { formatEndpoint } from '../util/ip.ts';
import type { Names } from '../util/names.ts';

export interface Naming {
  /** `HOST:PORT`, `[HOST]:PORT` for IPv6. Without a protocol (fwmark services) a port has no name. */
  endpoint(address: Address, port: number, protocol: Protocol | undefined): string;
}

export const numericNaming: Naming = { endpoint: formatEndpoint };

/** Characters of host and service together that ipvsadm has room for. */
const maxName = 59;

/** Reverse lookups at the same time. */
const parallelLookups = 32;

/** A naming that knows the names of these addresses. */
export async function lookUpNames(addresses: Iterable<Address>, names: Names): Promise<Naming> {
  const hosts = new Map<Address, string>();
  const waiting = new Set(addresses).values();
  const worker = async (): Promise<void> => {
    for (const address of waiting) {
      const host = await names.host(address);
      if (host !== undefined) hosts.set(address, host);
    }
  };
  await Promise.all(Array.from({ length: parallelLookups }, worker));
  return {
    endpoint(address, port, protocol) {
      const host = hosts.get(address) ?? address;
      const service = protocol === undefined ? undefined : names.service(port, protocol);
      return `${address.includes(':') ? `[${host}]` : host}:${service ?? port}`.slice(0, maxName);
    },
  };
}
