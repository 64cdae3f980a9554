/**
 * The guard as text for nft: one table, whose rules never change, and named sets, whose elements follow the director's
 * table; so a change costs as much as what changes, and a packet costs a few hash lookups. Pure.
 */
import type { GuardState } from './guard-state.ts';
import { nothing } from './guard-state.ts';

/** Set name -> elements, in nft's notation. Every set of the table has an entry. */
export type GuardSets = ReadonlyMap<string, ReadonlySet<string>>;

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
} as const;

type Kind = keyof typeof kinds;

const families = [
  {
    family: 4,
    header: 'ip',
    type: 'ipv4_addr',
    fragment: 'ip frag-off & 0x1fff != 0',
    icmp: 'icmp type { 3, 4, 11, 12 }',
  },
  {
    family: 6,
    header: 'ip6',
    type: 'ipv6_addr',
    fragment: 'frag frag-off != 0',
    icmp: 'icmpv6 type { 1, 2, 3, 4 }',
  },
] as const;

const tag = 'comment "directord"';

export function setsOf(state: GuardState): GuardSets {
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
  for (const { family, mark } of state.marks) add('marks', family, String(mark));
  return sets;
}

/** Replaces the whole table, whether it exists or not. */
export function wholeTable(name: string, sets: GuardSets): string {
  return `${removal(name)}${table(name)}${changes(name, setsOf(nothing), sets)}`;
}

/** Removes the table, whether it exists or not (`destroy` is younger than Debian 12's nft). */
export function removal(name: string): string {
  return `add table inet ${name}\ndelete table inet ${name}\n`;
}

/** What leads from one state to the other, as one transaction; empty when they are equal. */
export function changes(name: string, before: GuardSets, after: GuardSets): string {
  let text = '';
  const change = (verb: string, set: string, elements: readonly string[]): void => {
    if (elements.length > 0) text += `${verb} element inet ${name} ${set} { ${elements.join(', ')} }\n`;
  };
  for (const [set, wanted] of after) {
    const present = before.get(set) ?? new Set();
    change(
      'delete',
      set,
      [...present].filter((element) => !wanted.has(element)),
    );
    change(
      'add',
      set,
      [...wanted].filter((element) => !present.has(element)),
    );
  }
  return text;
}

function table(name: string): string {
  return `table inet ${name} {
${tag}
${families.map(({ family, type }) => setDeclarations(family, type)).join('')}
${['services', 'replies', 'marks'].map((counter) => `counter ${counter} { ${tag} }\n`).join('')}
chain reply {
  fib daddr type { local, broadcast, multicast, anycast } return ${tag}
  counter name replies drop ${tag}
}
${families.map(familyChains).join('')}
chain prerouting {
  type filter hook prerouting priority -450; policy accept;
  iifname "lo" return ${tag}
  meta nfproto vmap { ipv4 : goto arriving4, ipv6 : goto arriving6 } ${tag}
}
chain input {
  type filter hook input priority -450; policy accept;
  iifname "lo" return ${tag}
  meta nfproto ipv4 meta mark @marks4 counter name marks drop ${tag}
  meta nfproto ipv6 meta mark @marks6 counter name marks drop ${tag}
}
}
`;
}

function setDeclarations(family: 4 | 6, type: string): string {
  const sets = Object.entries(kinds).map(
    ([kind, columns]) => `set ${kind}${family} { type ${type}${columns}; ${tag}; }\n`,
  );
  return `${sets.join('')}set marks${family} { type mark; ${tag}; }\n`;
}

/**
 * Later fragments first: the kernel would read ports from whatever they begin with (its quick way of loading a header
 * field does not look at the fragment offset). Those to a service are left to the kernel where the address is its own
 * (there they wait for a first fragment that never comes, and expire in silence), and dropped where it would forward
 * them, or where no port matters.
 */
function familyChains({ family, header, fragment, icmp }: (typeof families)[number]): string {
  const [to, from] = [`${header} daddr . meta l4proto`, `${header} saddr . meta l4proto`];
  const drop = `counter name services drop ${tag}`;
  return `
chain fragment${family} {
  ${to} @whole-services${family} ${drop}
  ${to} @service-protocols${family} fib daddr type != local ${drop}
  ${from} @reply-protocols${family} goto reply ${tag}
}
chain arriving${family} {
  ${fragment} goto fragment${family} ${tag}
  ${to} . th dport @services${family} ${drop}
  ${from} . th sport @replies${family} goto reply ${tag}
  ${to} @whole-services${family} ${drop}
  ${from} @whole-replies${family} goto reply ${tag}
  ${header} saddr @servers${family} ${icmp} goto reply ${tag}
}
`;
}
