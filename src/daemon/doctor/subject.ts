/** What the doctor is asked about: the services of a configuration, and what this host is for them. */
import type { Fallback, Real, Virtual } from '../../config/model.ts';
import { serviceKey } from '../../director/table.ts';
import type { Address } from '../../util/ip.ts';
import type { Facts } from './facts.ts';
import { placeOf } from './facts.ts';

export interface Served {
  readonly virtual: Virtual;
  readonly server: Real | Fallback;
  /** The service as people call it. */
  readonly name: string;
}

export interface Subject {
  readonly virtuals: readonly Virtual[];
  /** Every destination, fallbacks too. */
  readonly served: readonly Served[];
  /** Those whose server is this host, by an address that is not loopback's. */
  readonly here: readonly Served[];
  readonly isDirector: boolean;
}

/** Without a configuration, as with an empty one, this host is judged as a director. */
export function subjectOf(virtuals: readonly Virtual[], facts: Facts): Subject {
  const served = virtuals.flatMap((virtual) => {
    const { reals, fallback } = virtual;
    const servers: readonly (Real | Fallback)[] = fallback === undefined ? reals : [...reals, fallback];
    return servers.map((server): Served => ({ virtual, server, name: serviceKey(virtual.service) }));
  });
  const here = served.filter(({ server: { address } }) => !isLoopback(address) && placeOf(facts, address));
  // A real server has the virtual address where nobody sees it; who has it for all to see is the director.
  const announces = virtuals.some(({ service }) => {
    const place = service.kind === 'address' ? placeOf(facts, service.address) : undefined;
    return place?.link.arp === true && !place.link.loopback;
  });
  return { virtuals, served, here, isDirector: here.length === 0 || announces };
}

export function isLoopback(address: Address): boolean {
  return address === '::1' || address.startsWith('127.');
}

/** The destinations that are other hosts, each address once, with one of its services. */
export function remoteServers({ served }: Subject, facts: Facts): readonly Served[] {
  const remote = served.filter(({ server: { address } }) => !isLoopback(address) && !placeOf(facts, address));
  return [...new Map(remote.map((one) => [`${one.server.address} ${one.server.forwarding}`, one])).values()];
}
