/** ip_forward and send_redirects: what this host does as a router beside the engine, for packets that the engine leaves alone. */
import type { Facts } from '../facts.ts';
import { linkNameOf, settingOf, sysctl } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { fail, ok, warn } from '../finding.ts';
import type { Subject } from '../subject.ts';
import { remoteServers } from '../subject.ts';
import type { Family } from '../../../util/ip.ts';
import { familyOf } from '../../../util/ip.ts';

const keys: Readonly<Record<Family, string>> = {
  inet: 'net/ipv4/ip_forward',
  inet6: 'net/ipv6/conf/all/forwarding',
};

export function routing(facts: Facts, subject: Subject): readonly Finding[] {
  if (!subject.isDirector) return [];
  const masq = remoteServers(subject, facts).filter(({ server }) => server.forwarding === 'masq');
  const families = [...new Set(masq.map(({ server }) => familyOf(server.address)))];
  const used: readonly Family[] = subject.served.length === 0 ? ['inet'] : families;
  return [
    ...used.map((family) => forwarding(facts, family)),
    ...redirects(facts, new Set(masq.map(({ server }) => server.address))),
  ];
}

/** The relay ends connections here, and the packet engine sends by itself; only in the kernel's own forwarding it counts. */
function forwarding(facts: Facts, family: Family): Finding {
  const key = keys[family];
  const name = key.replaceAll('/', '.').replace('net.ipv4.', '');
  const on = settingOf(facts, key) > 0;
  if (facts.engine === 'ebpf' && !on)
    return fail(name, '0: the kernel finds no next hop for the ebpf engine; expected 1', sysctl(key, 1));
  if (on) return ok(name, '1');
  return ok(
    name,
    `0: the ${facts.engine} engine does not need it; real servers that use this host as their router for connections of their own do`,
  );
}

/**
 * A router that sends a packet out where it came in tells the sender of a shorter way. A real server that believes it
 * answers clients directly, and its replies keep the real server's address. The kernel sends when `all` or IF says so.
 */
function redirects(facts: Facts, masq: ReadonlySet<string>): readonly Finding[] {
  if (facts.engine === 'relay') return [];
  const all = 'net/ipv4/conf/all/send_redirects';
  const sides = [...masq]
    .filter((address) => familyOf(address) === 'inet')
    .flatMap((address) => facts.routes.get(address)?.interfaceIndex ?? []);
  const away = facts.outside.inet?.interfaceIndex;
  return [...new Set(sides)].map((index) => {
    const link = linkNameOf(facts, index);
    const own = `net/ipv4/conf/${link}/send_redirects`;
    const name = `send_redirects of ${link}`;
    const sends = settingOf(facts, all) > 0 || settingOf(facts, own) > 0;
    if (!sends) return ok(name, '0');
    if (settingOf(facts, keys.inet) === 0) return ok(name, '1, but this host is no router (ip_forward=0)');
    if (index !== away)
      return ok(name, '1: real servers are on another interface than the way to the clients');
    return warn(
      name,
      '1: masq real servers and the way to the clients are on one interface; they may be told to answer clients directly; expected 0',
      `${sysctl(all, 0)}; ${sysctl(own, 0)}`,
    );
  });
}
