/** Other users of the same packets: the kernel's own IPVS, programs that listen on a virtual address, connection tracking. */
import type { Facts, Listener } from '../facts.ts';
import { sysctl } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { fail, ok, warn } from '../finding.ts';
import type { Subject } from '../subject.ts';
import { isLoopback } from '../subject.ts';
import type { AddressService } from '../../../director/table.ts';
import { serviceKey } from '../../../director/table.ts';

export function kernelIpvs({ kernelServices }: Facts, { virtuals, isDirector }: Subject): readonly Finding[] {
  if (!isDirector) return [];
  if (kernelServices === undefined) return [ok('kernel IPVS', 'not loaded')];
  if (kernelServices.length === 0) return [ok('kernel IPVS', 'loaded, without services')];
  const wanted = new Set(virtuals.map(({ service }) => serviceKey(service)));
  const twice = kernelServices.filter((key) => wanted.has(key));
  if (twice.length > 0)
    return twice.map((key) =>
      fail(
        key,
        'the kernel IPVS has this service too and takes its packets',
        'ipvsadm -C, and stop what fills it',
      ),
    );
  const others = `has ${kernelServices.length} services of its own: ${kernelServices.join(', ')}`;
  return [
    virtuals.length > 0
      ? ok('kernel IPVS', others)
      : warn('kernel IPVS', others, 'ipvsadm -C if they are leftovers'),
  ];
}

export function listeners(facts: Facts, subject: Subject): readonly Finding[] {
  if (!subject.isDirector) return [];
  return subject.virtuals.flatMap(({ service, label }) => {
    if (service.kind !== 'address' || service.port === 0) return [];
    const found = facts.listeners.find((listener) => !listener.ours && takes(listener, service));
    if (found === undefined) return [];
    // Packets that are forwarded to this host are for it.
    const serves = [...subject.here, ...subject.served.filter(({ server }) => isLoopback(server.address))];
    if (
      serves.some(({ virtual, server }) => virtual.label === label && [0, found.port].includes(server.port))
    )
      return [];
    const who = found.process === '' ? 'another program' : found.process;
    const text = `${who} listens on ${found.address} port ${found.port}`;
    const mend = `let ${who} listen on another address or port`;
    const name = serviceKey(service);
    if (facts.engine === 'relay') return [fail(name, `${text}: the relay engine cannot`, mend)];
    return [warn(name, `${text}: it gets nothing while directord runs, and clients when it does not`, mend)];
  });
}

function takes({ protocol, address, port }: Listener, service: AddressService): boolean {
  if (protocol !== service.protocol || port !== service.port) return false;
  // A wildcard of IPv6 usually takes IPv4 too.
  return (
    address === service.address ||
    address === '::' ||
    (address === '0.0.0.0' && !service.address.includes(':'))
  );
}

export function conntrack({ conntrack: table, engine }: Facts): readonly Finding[] {
  if (table === undefined || table.most === 0) return [ok('conntrack', 'not in use')];
  const { count, most } = table;
  const text = `${count} of ${most} connections`;
  const mend = sysctl('net/netfilter/nf_conntrack_max', most * 4);
  if (count >= most) return [fail('conntrack', `${text}: full, new ones are dropped`, mend)];
  if (count > most * 0.8) return [warn('conntrack', `${text}: nearly full`, mend)];
  return [ok('conntrack', `${text}${engine === 'relay' ? ', two for each that is relayed' : ''}`)];
}

/** Frames that were put together, or whose checksums are left to the card, cannot be forwarded as they are. */
export function offloads({ engine, offloads: found }: Facts, { isDirector }: Subject): readonly Finding[] {
  if (engine !== 'packet' || !isDirector) return [];
  return [...found].map(([name, on]) =>
    ok(
      `offloads of ${name}`,
      on.length === 0
        ? 'none that is in the way'
        : `${on.join(', ')}: the packet engine switches them off while it runs (bulk traffic of other programs costs more then)`,
    ),
  );
}
