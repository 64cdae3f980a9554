/** Rules of the packet filters that drop what clients send to a service, or what this host sends to a real server. */
import type { Facts } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { fail, ok, warn } from '../finding.ts';
import type { Hook, Packet } from '../firewall/rules.ts';
import { dropOf } from '../firewall/rules.ts';
import type { Subject } from '../subject.ts';
import { isLoopback, remoteServers } from '../subject.ts';
import type { Virtual } from '../../../config/model.ts';
import { serviceKey } from '../../../director/table.ts';
import { familyOf } from '../../../util/ip.ts';

export function firewall(facts: Facts, subject: Subject): readonly Finding[] {
  if (facts.chains === undefined)
    return [warn('firewall rules', 'cannot be read', 'run it as root, with nft or iptables installed')];
  const found = [
    ...subject.virtuals.flatMap((virtual) => fromClients(facts, subject, virtual)),
    ...(subject.isDirector ? toServers(facts, subject) : []),
  ];
  if (found.length > 0 || subject.virtuals.length === 0) return found;
  return [ok('firewall rules', 'none drops what services and real servers need')];
}

function fromClients(facts: Facts, subject: Subject, virtual: Virtual): readonly Finding[] {
  const { service } = virtual;
  if (service.kind === 'fwmark') return [];
  const packet: Packet = {
    family: familyOf(service.address),
    destination: service.address,
    protocol: service.protocol,
    state: 'new',
    ...(service.port > 0 && { destinationPort: String(service.port) }),
  };
  // Other engines take a packet before any rule sees it, and only what is for this host itself comes by here again.
  const early = subject.isDirector && facts.engine !== 'relay';
  const local = [...subject.here, ...subject.served.filter(({ server }) => isLoopback(server.address))];
  if (early && !local.some((served) => served.virtual === virtual)) return [];
  return drops(facts, `${serviceKey(service)} from clients`, packet, ['prerouting', 'input']);
}

function toServers(facts: Facts, subject: Subject): readonly Finding[] {
  return remoteServers(subject, facts).flatMap(({ server: { address, port }, virtual: { service } }) => {
    const route = facts.routes.get(address);
    const link = facts.links.find(({ index }) => index === route?.interfaceIndex);
    const packet: Packet = {
      family: familyOf(address),
      destination: address,
      state: 'new',
      ...(route?.source !== undefined && { source: route.source }),
      ...(link !== undefined && { outgoing: link.name }),
      ...(service.kind === 'address' && { protocol: service.protocol }),
      ...(port > 0 && { destinationPort: String(port) }),
    };
    return drops(facts, `this host to real server ${address}`, packet, ['output', 'postrouting']);
  });
}

function drops(facts: Facts, name: string, packet: Packet, hooks: readonly Hook[]): readonly Finding[] {
  const drop = dropOf(packet, facts.chains ?? [], hooks);
  if (drop === undefined) return [];
  const { text, removal } = drop.by;
  const mend = removal ?? 'accept it by a rule';
  if (drop.certain) return [fail(name, `dropped by ${text}`, mend)];
  return [warn(name, `may be dropped by ${text} (depends on what is not known here, as the sender)`, mend)];
}
