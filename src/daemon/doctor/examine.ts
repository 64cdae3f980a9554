/** Every check that there is, in the order of a packet's way: this host, the virtual addresses, the real servers. */
import type { Virtual } from '../../config/model.ts';
import { attachments } from './checks/attachments.ts';
import { firewall } from './checks/firewall.ts';
import { mtu } from './checks/mtu.ts';
import { conntrack, kernelIpvs, listeners, offloads } from './checks/others.ts';
import { realServer } from './checks/real-server.ts';
import { reversePath } from './checks/reverse-path.ts';
import { routing } from './checks/routing.ts';
import { servers } from './checks/servers.ts';
import { tables } from './checks/tables.ts';
import { tools } from './checks/tools.ts';
import { arpSettings, sourceAddresses, virtualAddresses } from './checks/virtual-addresses.ts';
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';
import type { Subject } from './subject.ts';
import { subjectOf } from './subject.ts';

type Check = (facts: Facts, subject: Subject) => readonly Finding[];

const checks: readonly Check[] = [
  tools,
  offloads,
  attachments,
  tables,
  reversePath,
  routing,
  arpSettings,
  conntrack,
  kernelIpvs,
  virtualAddresses,
  listeners,
  servers,
  sourceAddresses,
  mtu,
  firewall,
  realServer,
];

export function examine(facts: Facts, virtuals: readonly Virtual[]): readonly Finding[] {
  const subject = subjectOf(virtuals, facts);
  const findings = checks.flatMap((check) => check(facts, subject));
  return [...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values()];
}
