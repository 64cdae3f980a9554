/**
 * Whether what clients send fits on the way to the real servers. A tunnel's header takes 20 bytes (IPv4) or 40 (IPv6) of
 * it; what does not fit is answered with "fragmentation needed", which some clients' firewalls drop (RFC 2923).
 */
import type { Facts } from '../facts.ts';
import { linkOf, placeOf } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { ok, warn } from '../finding.ts';
import type { Served, Subject } from '../subject.ts';
import { remoteServers } from '../subject.ts';
import { familyOf } from '../../../util/ip.ts';

const ordinary = 1500;

export function mtu(facts: Facts, subject: Subject): readonly Finding[] {
  if (!subject.isDirector || facts.engine === 'relay') return [];
  return remoteServers(subject, facts).flatMap((served) => fits(facts, served));
}

function fits(facts: Facts, served: Served): readonly Finding[] {
  const { address, forwarding } = served.server;
  const route = facts.routes.get(address);
  const link = route && linkOf(facts, route.interfaceIndex);
  if (route === undefined || link === undefined) return [];
  const size = route.mtu === 0 ? link.mtu : Math.min(route.mtu, link.mtu);
  const six = familyOf(address) === 'inet6';
  const overhead = forwarding !== 'ipip' ? 0 : six ? 40 : 20;
  const coming = comingIn(facts, served);
  const name = `MTU to ${address}`;
  const room = size - overhead;
  const sum =
    overhead === 0 ? `${size} bytes` : `${size} bytes less ${overhead} of the tunnel are ${size - overhead}`;
  if (room >= coming) return [ok(name, `${sum}, clients send at most ${coming}`)];
  const header = six ? 60 : 40;
  return [
    warn(
      name,
      `${sum}, and clients send up to ${coming}: what is larger is answered with ICMP "fragmentation needed", and lost where clients do not heed it`,
      `ip link set ${link.name} mtu ${coming + overhead} # and so on the whole way; or on the real server: ip${six ? ' -6' : ''} route change default ... advmss ${room - header}`,
    ),
  ];
}

/** What the interface of the virtual address takes; the Ethernet of most clients where that is not known. */
function comingIn(facts: Facts, { virtual: { service } }: Served): number {
  const place = service.kind === 'address' ? placeOf(facts, service.address) : undefined;
  return place === undefined || place.link.loopback ? ordinary : place.link.mtu;
}
