/** Every virtual address must lead here: it is an address of this host, on an interface that answers ARP for it. */
import type { Facts } from '../facts.ts';
import { largerOf, linkNameOf, placeOf, settingOf, sysctl } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { fail, ok, warn } from '../finding.ts';
import type { Subject } from '../subject.ts';
import type { Address } from '../../../util/ip.ts';
import { familyOf } from '../../../util/ip.ts';

export function virtualAddresses(facts: Facts, subject: Subject): readonly Finding[] {
  if (!subject.isDirector) return [];
  return virtualAddressesOf(subject).map((address) => presence(facts, address));
}

export function virtualAddressesOf({ virtuals }: Subject): readonly Address[] {
  return [...new Set(virtuals.flatMap(({ service }) => (service.kind === 'address' ? service.address : [])))];
}

function presence(facts: Facts, address: Address): Finding {
  const name = `virtual address ${address}`;
  const place = placeOf(facts, address);
  const whole = familyOf(address) === 'inet' ? 32 : 128;
  if (place === undefined) {
    const link = facts.outside[familyOf(address)];
    const device = link === undefined ? 'INTERFACE' : linkNameOf(facts, link.interfaceIndex);
    const mend = `ip address add ${address}/${whole} dev ${device}`;
    if (facts.engine !== 'relay')
      return warn(name, 'not on this host: right only where a router sends its packets here', mend);
    const key = familyOf(address) === 'inet' ? 'net/ipv4/ip_nonlocal_bind' : 'net/ipv6/ip_nonlocal_bind';
    if (settingOf(facts, key) > 0) return warn(name, 'not on this host, though it may be listened on', mend);
    return fail(name, 'not on this host: the relay engine cannot listen on it', mend);
  }
  const { link, prefix } = place;
  const where = `on ${link.name}/${prefix}`.replace('/', ' as /');
  if (!link.up) return fail(name, `${where}, which is down`, `ip link set ${link.name} up`);
  const hidden = familyOf(address) === 'inet6' ? link.loopback : link.loopback && hides(facts);
  if (hidden) {
    const why =
      familyOf(address) === 'inet6'
        ? 'neighbour discovery does not answer for it on other interfaces'
        : 'and arp_ignore keeps other interfaces from answering ARP for it';
    return fail(name, `${where}: ${why}`, `ip address add ${address}/${whole} dev INTERFACE`);
  }
  if (prefix !== whole && isSource(facts, address)) {
    return warn(
      name,
      `${where}: this host uses it for its own connections; expected /${whole}`,
      `give ${link.name} another address of that network, then: ip address del ${address}/${prefix} dev ${link.name}; ip address add ${address}/${whole} dev ${link.name}`,
    );
  }
  return ok(name, where);
}

/** Whether some interface that hears ARP would not answer for an address of another one. */
function hides(facts: Facts): boolean {
  const asked = facts.links.filter(({ arp, up, loopback }) => arp && up && !loopback);
  return asked.every(({ name }) => largerOf(facts, 'arp_ignore', name) >= 1);
}

function isSource(facts: Facts, address: Address): boolean {
  const routes = [...facts.routes.values(), facts.outside[familyOf(address)]];
  return routes.some((route) => route?.source === address);
}

/** Real servers that own the virtual address answer themselves when it asks them something. */
export function sourceAddresses(facts: Facts, subject: Subject): readonly Finding[] {
  if (!subject.isDirector) return [];
  const virtual = virtualAddressesOf(subject);
  const found = subject.served.filter(({ server: { address, forwarding } }) => {
    const source = facts.routes.get(address)?.source;
    return forwarding !== 'masq' && source !== undefined && virtual.includes(source);
  });
  return [...new Map(found.map((one) => [one.server.address, one])).values()].map(
    ({ server: { address, forwarding } }) => {
      const route = facts.routes.get(address);
      const device = route === undefined ? 'INTERFACE' : linkNameOf(facts, route.interfaceIndex);
      return fail(
        `route to ${address}`,
        `health checks of this ${forwarding} server come from the virtual address ${route?.source ?? ''}, which it has itself, so that it answers itself`,
        `make another address of ${device} the first one, or: ip route add ${address} dev ${device} src THAT-ADDRESS`,
      );
    },
  );
}

/** arp settings are for real servers; on a director they can only do harm. */
export function arpSettings(facts: Facts, subject: Subject): readonly Finding[] {
  if (!subject.isDirector) return [];
  const all = 'net/ipv4/conf/all/arp_ignore';
  const value = settingOf(facts, all);
  if (value >= 8)
    return [fail('arp_ignore', `${value}: no ARP request is answered; expected 0 or 1`, sysctl(all, 1))];
  return [ok('arp_ignore', `${value}`)];
}
