/**
 * What this host needs as a real server: to accept the virtual address without announcing it (gate, ipip), and to let
 * replies go back through the director (masq). `directord realserver` sets it up.
 */
import type { Facts } from '../facts.ts';
import { largerOf, linkNameOf, placeOf, sysctl } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { fail, ok, warn } from '../finding.ts';
import type { Served, Subject } from '../subject.ts';
import { redirects } from '../firewall/redirect.ts';
import { tunnelDevice } from '../../realserver/ways.ts';
import type { Address } from '../../../util/ip.ts';
import { familyOf } from '../../../util/ip.ts';

const prepare = 'directord realserver CONFIG --apply';

export function realServer(facts: Facts, { here, isDirector }: Subject): readonly Finding[] {
  return here.flatMap((served): readonly Finding[] => {
    const { service } = served.virtual;
    const { forwarding } = served.server;
    if (forwarding === 'masq') return isDirector ? [] : [defaultRoute(facts, served)];
    if (forwarding === 'local') return [];
    if (service.kind === 'fwmark')
      return [
        warn(
          served.name,
          'a firewall mark: which virtual addresses this host must accept is not in the file',
        ),
      ];
    if (isDirector) return [seenByAll(facts, served, service.address)].flat();
    return forwarding === 'gate'
      ? direct(facts, served, service.address)
      : tunnelled(facts, served, service.address);
  });
}

function defaultRoute(facts: Facts, { name, server }: Served): Finding {
  const route = facts.outside[familyOf(server.address)];
  if (route === undefined)
    return fail(
      name,
      'no default route: replies to clients cannot leave',
      'ip route add default via ADDRESS-OF-THE-DIRECTOR',
    );
  const way = route.gateway === undefined ? linkNameOf(facts, route.interfaceIndex) : route.gateway;
  return ok(name, `replies to clients leave by ${way}; that must be the director`);
}

/** Either this is the director and a server of its own, or a real server that announces the address. */
function seenByAll(facts: Facts, { name, server }: Served, virtual: Address): readonly Finding[] {
  const place = placeOf(facts, virtual);
  if (place === undefined || place.link.loopback) return [];
  return [
    warn(
      name,
      `${virtual} is on ${place.link.name} of ${server.address}, a real server: right on the director only; elsewhere it answers ARP in the director's place`,
      `unless this is the director: ip address del ${virtual}/${place.prefix} dev ${place.link.name}; ${prepare}`,
    ),
  ];
}

function direct(facts: Facts, { name }: Served, virtual: Address): readonly Finding[] {
  const place = placeOf(facts, virtual);
  if (place === undefined) {
    if (redirects(facts.chains ?? [], virtual))
      return [ok(name, `${virtual} is accepted by a REDIRECT rule`)];
    const unseen = facts.chains === undefined ? ' (its firewall rules cannot be read without root)' : '';
    return [
      fail(
        name,
        `${virtual} is not accepted by this host: no address of it, no REDIRECT rule${unseen}`,
        prepare,
      ),
    ];
  }
  return [ok(name, `${virtual} is on ${place.link.name}`), ...silent(facts, virtual)];
}

function tunnelled(facts: Facts, { name }: Served, virtual: Address): readonly Finding[] {
  const device = tunnelDevice(virtual);
  const link = facts.links.find((one) => one.name === device);
  if (link?.up !== true) {
    const state = link === undefined ? 'is missing' : 'is down';
    return [fail(name, `${device}, which unwraps packets, ${state}`, prepare)];
  }
  const place = placeOf(facts, virtual);
  if (place === undefined) return [fail(name, `${virtual} is not an address of this host`, prepare)];
  const found: Finding[] = [ok(name, `${virtual} is on ${place.link.name}, ${device} is up`)];
  if (device === 'tunl0') {
    const filter = largerOf(facts, 'rp_filter', device);
    const subject = `rp_filter of ${device}`;
    if (filter === 1) {
      const why =
        '1 (strict): clients are not reached through the tunnel, so their packets are dropped; expected 2';
      found.push(fail(subject, why, sysctl('net/ipv4/conf/tunl0/rp_filter', 2)));
    } else found.push(ok(subject, `${filter}, not strict`));
  }
  return [...found, ...silent(facts, virtual)];
}

/** Every interface that hears ARP must keep quiet about addresses of others. IPv6 does by itself. */
function silent(facts: Facts, virtual: Address): readonly Finding[] {
  if (familyOf(virtual) === 'inet6') return [];
  const asked = facts.links.filter(({ arp, up, loopback }) => arp && up && !loopback);
  return (
    [
      ['arp_ignore', 1, "it answers ARP for the virtual address in the director's place"],
      ['arp_announce', 2, 'its ARP requests name the virtual address as their sender'],
    ] as const
  ).map(([setting, wanted, harm]) => {
    const low = asked.filter(({ name }) => largerOf(facts, setting, name) < wanted).map(({ name }) => name);
    if (low.length === 0) return ok(setting, `${wanted} or more on every interface`);
    const value = Math.min(...low.map((name) => largerOf(facts, setting, name)));
    const text = `${value} on ${low.join(', ')}: ${harm}; expected ${wanted}`;
    return fail(setting, text, sysctl(`net/ipv4/conf/all/${setting}`, wanted));
  });
}
