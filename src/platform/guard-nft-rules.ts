/**
 * The guard as text for nft: two tables of one name, whose rules never change, and in them named sets, whose elements follow the
 * director's table; so a change costs as much as what changes, and a packet costs a few hash lookups. The table of the family netdev
 * has a chain for each captured interface, the one of the family inet drops by marks. Pure.
 */
import { familyOf } from '../util/ip.ts';
import type { GuardedInterface, GuardState } from './guard-state.ts';
import { guardedMark, nothing } from './guard-state.ts';

/** What our tables hold. */
export interface GuardContent {
  /** Set name -> elements, in nft's notation. Every set has an entry. */
  readonly sets: ReadonlyMap<string, ReadonlySet<string>>;
  /** Chain name -> interface. */
  readonly interfaces: ReadonlyMap<string, GuardedInterface>;
}

/** By number: names would need /etc/protocols. */
const protocolNumber = { tcp: 6, udp: 17, sctp: 132 } as const;

/** Columns of an element after the address. */
const kinds = {
  services: ' . inet_proto . inet_service',
  'whole-services': ' . inet_proto',
  'service-protocols': ' . inet_proto',
  replies: ' . inet_proto . inet_service',
  'whole-replies': ' . inet_proto',
  'reply-protocols': ' . inet_proto',
  servers: '',
  own: '',
} as const;

type Kind = keyof typeof kinds;

const families = [
  {
    family: 4,
    header: 'ip',
    type: 'ipv4_addr',
    fragment: 'ip frag-off & 0x1fff != 0',
    icmp: 'icmp type { 3, 4, 11, 12 }',
    groups: 'ip daddr >= 224.0.0.0',
  },
  {
    family: 6,
    header: 'ip6',
    type: 'ipv6_addr',
    fragment: 'frag frag-off != 0',
    icmp: 'icmpv6 type { 1, 2, 3, 4 }',
    groups: 'ip6 daddr ff00::/8',
  },
] as const;

const tag = 'comment "directord"';

/** Before everybody else's. */
const priority = 'priority -450; policy accept;';

export const tableFamilies = ['netdev', 'inet'] as const;

/** @throws for an interface that nft has no way to name */
export function contentOf(state: GuardState): GuardContent {
  const sets = new Map<string, Set<string>>();
  for (const { family } of families) {
    for (const kind of Object.keys(kinds)) sets.set(`${kind}${family}`, new Set());
    sets.set(`marks${family}`, new Set());
  }
  const add = (kind: Kind | 'marks', family: 4 | 6, element: string): void => {
    sets.get(`${kind}${family}`)?.add(element);
  };
  for (const { family, protocol, address, port } of state.services) {
    const pair = `${address} . ${protocolNumber[protocol]}`;
    add('service-protocols', family, pair);
    if (port === 0) add('whole-services', family, pair);
    else add('services', family, `${pair} . ${port}`);
  }
  for (const { family, protocol, address, port } of state.replies) {
    const pair = `${address} . ${protocolNumber[protocol]}`;
    add('servers', family, address);
    add('reply-protocols', family, pair);
    if (port === 0) add('whole-replies', family, pair);
    else add('replies', family, `${pair} . ${port}`);
  }
  for (const address of state.own) add('own', familyOf(address) === 'inet' ? 4 : 6, address);
  for (const { family, mark } of state.marks) add('marks', family, String(mark));
  for (const { name } of state.interfaces)
    if (name.includes('"')) throw new Error(`nft cannot name the interface ${name}`);
  return { sets, interfaces: new Map(state.interfaces.map((one) => [`interface${one.index}`, one])) };
}

/** Replaces both tables, whether they exist or not. */
export function wholeTables(name: string, content: GuardContent): string {
  return `${removal(name)}${tables(name)}${changes(name, contentOf(nothing), content)}`;
}

/** Removes both tables, whether they exist or not (`destroy` is younger than Debian 12's nft). */
export function removal(name: string): string {
  return tableFamilies
    .map((family) => `add table ${family} ${name}\ndelete table ${family} ${name}\n`)
    .join('');
}

/**
 * What each interface's chain holds. Frames of a VLAN reach the interface below it too, where `ether type` is that of the tag; a tag of
 * VLAN 0 only carries a priority. A map of the three types would cost more than three comparisons, a chain for them a jump.
 */
const arriving = [
  'meta pkttype != host return',
  'ether type ip goto arriving4',
  'ether type ip6 goto arriving6',
  'ether type 0x8100 goto priority-tag',
] as const;

/** Of programs on this host. nft does not take loopback's frames for Ethernet's; they have no tags. */
const arrivingLoopback = [
  `meta mark ${guardedMark} return`,
  'meta protocol ip goto arriving4',
  'meta protocol ip6 goto arriving6',
] as const;

/** What leads from one content to the other, as one transaction; empty when they are equal. */
export function changes(name: string, before: GuardContent, after: GuardContent): string {
  const commands: string[] = [];
  for (const [chain, { name: device }] of before.interfaces)
    if (after.interfaces.get(chain)?.name !== device) commands.push(`delete chain netdev ${name} ${chain}`);
  for (const [chain, { name: device, loopback }] of after.interfaces) {
    if (before.interfaces.get(chain)?.name === device) continue;
    const hook = `type filter hook ingress device "${device}" ${priority}`;
    commands.push(`add chain netdev ${name} ${chain} { ${hook} }`);
    commands.push(
      ...(loopback === true ? arrivingLoopback : arriving).map(
        (rule) => `add rule netdev ${name} ${chain} ${rule} ${tag}`,
      ),
    );
  }
  for (const [set, wanted] of after.sets) {
    const present = before.sets.get(set) ?? new Set();
    const path = `${set.startsWith('marks') ? 'inet' : 'netdev'} ${name} ${set}`;
    const change = (verb: string, elements: readonly string[]): void => {
      if (elements.length > 0) commands.push(`${verb} element ${path} { ${elements.join(', ')} }`);
    };
    change(
      'delete',
      [...present].filter((element) => !wanted.has(element)),
    );
    change(
      'add',
      [...wanted].filter((element) => !present.has(element)),
    );
  }
  return commands.map((command) => `${command}\n`).join('');
}

/** The chains of the interfaces come and go, so they are not here. */
function tables(name: string): string {
  return `table netdev ${name} {
${tag}
${families.map(({ family, type }) => setDeclarations(family, type)).join('')}
${counter('services')}
${counter('replies')}
${families.map(familyChains).join('')}
chain priority-tag {
  vlan id != 0 return ${tag}
  meta protocol ip goto arriving4 ${tag}
  meta protocol ip6 goto arriving6 ${tag}
}
}
table inet ${name} {
${tag}
${families.map(({ family }) => `set marks${family} { type mark; ${tag}; }`).join('\n')}
${counter('marks')}
chain input {
  type filter hook input ${priority}
  iifname "lo" return ${tag}
  meta nfproto ipv4 meta mark @marks4 counter name marks drop ${tag}
  meta nfproto ipv6 meta mark @marks6 counter name marks drop ${tag}
}
}
`;
}

function counter(name: string): string {
  return `counter ${name} { ${tag} }`;
}

function setDeclarations(family: 4 | 6, type: string): string {
  return Object.entries(kinds)
    .map(([kind, columns]) => `set ${kind}${family} { type ${type}${columns}; ${tag}; }\n`)
    .join('');
}

/**
 * Later fragments first: the kernel would read ports from whatever they begin with (its quick way of loading a header
 * field does not look at the fragment offset). Those to a service are left to the kernel where the address is its own
 * (there they wait for a first fragment that never comes, and expire in silence), and dropped where it would forward
 * them, or where no port matters.
 */
function familyChains({ family, header, fragment, icmp, groups }: (typeof families)[number]): string {
  const [to, from] = [`${header} daddr . meta l4proto`, `${header} saddr . meta l4proto`];
  const drop = `counter name services drop ${tag}`;
  const reply = `goto reply${family} ${tag}`;
  return `
chain reply${family} {
  ${header} daddr @own${family} return ${tag}
  ${groups} return ${tag}
  counter name replies drop ${tag}
}
chain fragment${family} {
  ${to} @whole-services${family} ${drop}
  ${to} @service-protocols${family} ${header} daddr != @own${family} ${drop}
  ${from} @reply-protocols${family} ${reply}
}
chain arriving${family} {
  ${fragment} goto fragment${family} ${tag}
  ${to} . th dport @services${family} ${drop}
  ${from} . th sport @replies${family} ${reply}
  ${to} @whole-services${family} ${drop}
  ${from} @whole-replies${family} ${reply}
  ${header} saddr @servers${family} ${icmp} ${reply}
}
`;
}
