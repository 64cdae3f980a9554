/** The way to each real server and back. */
import type { Facts } from '../facts.ts';
import { linkNameOf, linkOf } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { fail, ok, warn } from '../finding.ts';
import type { Served, Subject } from '../subject.ts';
import { isLoopback, remoteServers } from '../subject.ts';
import type { Address } from '../../../util/ip.ts';
import { familyOf } from '../../../util/ip.ts';
import { isWithin } from '../network.ts';

export function servers(facts: Facts, subject: Subject): readonly Finding[] {
  if (!subject.isDirector) return [];
  const local = subject.here.map(({ server, name }) =>
    server.forwarding === 'local' || subject.virtuals.length === 0
      ? ok(`real server ${server.address}`, `this host itself, for ${name}`)
      : warn(
          `real server ${server.address}`,
          `an address of this host: ${name} is delivered here, where a server must listen on port ${server.port === 0 ? 'of the service' : server.port}`,
        ),
  );
  return [
    ...local,
    ...toLoopback(facts, subject),
    ...remoteServers(subject, facts).flatMap((served) => remote(facts, served)),
  ];
}

/** No packet from outside may be sent to 127.0.0.1; the kernel's IPVS drops such ones too. The relay connects there itself. */
function toLoopback({ engine }: Facts, { served }: Subject): readonly Finding[] {
  if (engine === 'relay') return [];
  return served
    .filter(({ server: { address, forwarding } }) => isLoopback(address) && forwarding === 'masq')
    .map(({ server: { address }, name }) =>
      fail(
        name,
        `packets of other hosts cannot be sent to ${address} by masq`,
        `write gate after ${address}, and let the server listen on the virtual address`,
      ),
    );
}

function remote(facts: Facts, served: Served): readonly Finding[] {
  const { address, forwarding } = served.server;
  const name = `real server ${address}`;
  const route = facts.routes.get(address);
  if (route === undefined || !['unicast', 'local'].includes(route.kind)) {
    const text = `no route to it (${served.name}, ${forwarding})`;
    return [fail(name, text, `ip route add ${address} via GATEWAY`)];
  }
  const way = wayTo(facts, name, served, route.gateway, linkNameOf(facts, route.interfaceIndex));
  return [
    way,
    ...answers(facts, name, address, route.gateway === undefined),
    ...returnRoute(facts, name, served),
  ];
}

function wayTo(
  facts: Facts,
  name: string,
  { server: { forwarding }, name: service }: Served,
  gateway: Address | undefined,
  link: string,
): Finding {
  const how = gateway === undefined ? `${forwarding}, on ${link}` : `${forwarding}, by ${gateway} on ${link}`;
  if (gateway === undefined || forwarding === 'ipip' || facts.engine === 'relay') return ok(name, how);
  if (forwarding === 'gate')
    return fail(
      name,
      `${how}: direct routing reaches hosts of this host's own segment only (${service})`,
      'use ipip for it, or give this host an address in its network',
    );
  return warn(
    name,
    `${how}: its replies must come back through this host, and a router in between may send them elsewhere (${service})`,
    `route the clients' networks on ${gateway} back to this host`,
  );
}

/** Neighbours do not lie: a host that does not answer ARP is not there, whatever it does with pings. */
function answers(facts: Facts, name: string, address: Address, onLink: boolean): readonly Finding[] {
  const answered = facts.pings.get(address);
  if (answered === true) return [ok(name, 'answers ping')];
  const neighbour = facts.neighbours.find((one) => one.address === address && one.mac.length > 0);
  if (onLink && neighbour === undefined && answered === false)
    return [
      fail(
        name,
        `does not answer ${familyOf(address) === 'inet' ? 'ARP' : 'neighbour discovery'}: it is down, or not on this segment`,
        `ping ${address}`,
      ),
    ];
  if (answered === false)
    return [warn(name, `does not answer ping${onLink ? ', though it is there' : ''}`, `ping ${address}`)];
  return [];
}

/**
 * Clients in the real server's own network get its replies straight, with the wrong address (NAT's oldest trap). The
 * clients are unknown; that they share the network of a virtual address is the best guess.
 */
function returnRoute(
  facts: Facts,
  name: string,
  { server, virtual: { service }, name: label }: Served,
): readonly Finding[] {
  if (server.forwarding !== 'masq' || facts.engine === 'relay' || service.kind === 'fwmark') return [];
  const shared = facts.addresses.find(
    ({ address, prefix, interfaceIndex }) =>
      linkOf(facts, interfaceIndex)?.loopback === false &&
      !isWhole(address, prefix) &&
      isWithin(server.address, address, prefix) &&
      isWithin(service.address, address, prefix),
  );
  if (shared === undefined) return [];
  return [
    warn(
      name,
      `${label}: in one network with the virtual address; clients of that network get its replies directly, from an address that they did not ask`,
      'put real servers in a network of their own, or use gate',
    ),
  ];
}

function isWhole(address: Address, prefix: number): boolean {
  return prefix === (familyOf(address) === 'inet' ? 32 : 128);
}
