/**
 * The guard as text for nft: two tables of one name, whose rules never change, and in them named sets, whose elements follow the
 * director's table; so a change costs as much as what changes, and a packet costs a few hash lookups. The table of the family netdev
 * has a chain for each captured interface, the one of the family inet drops by marks. Pure.
 */
import type { GuardedInterface } from './guard-state.ts';
import { guardedMark } from './guard-state.ts';
import type { SetChanges } from './guard-sets.ts';
import { setColumns } from './guard-sets.ts';
import type { TableFamily } from './nf-tables-message.ts';

interface Chain {
  readonly name: string;
  /** Undefined: only other chains lead here. */
  readonly hook?: string;
  readonly rules: readonly string[];
}

/** Chain name -> interface. */
export type InterfaceChains = ReadonlyMap<string, GuardedInterface>;

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

/** Of our tables, and of all that is in them. */
export const ownComment = 'directord';
const tag = `comment "${ownComment}"`;

/** Before everybody else's. */
const priority = 'priority -450; policy accept;';

export const tableFamilies = ['netdev', 'inet'] as const satisfies readonly TableFamily[];

/** The chains of the interfaces come and go, so they are not here. */
const fixedChains: Readonly<Record<TableFamily, readonly Chain[]>> = {
  netdev: [
    ...families.flatMap(familyChains),
    {
      name: 'priority-tag',
      rules: ['vlan id != 0 return', 'meta protocol ip goto arriving4', 'meta protocol ip6 goto arriving6'],
    },
  ],
  inet: [
    {
      name: 'input',
      hook: 'type filter hook input',
      rules: [
        'iifname "lo" return',
        ...families.map(
          ({ family }) => `meta nfproto ipv${family} meta mark @marks${family} counter name marks drop`,
        ),
      ],
    },
  ],
};

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

/** @throws for an interface that nft has no way to name */
export function interfaceChains(interfaces: readonly GuardedInterface[]): InterfaceChains {
  for (const { name } of interfaces)
    if (name.includes('"')) throw new Error(`nft cannot name the interface ${name}`);
  return new Map(interfaces.map((one) => [`interface${one.index}`, one]));
}

/** Replaces both tables, whether they exist or not. */
export function wholeTables(name: string, interfaces: InterfaceChains, sets: SetChanges): string {
  return `${removal(name)}${tables(name)}${interfaceChanges(name, new Map(), interfaces)}${setChanges(name, sets)}`;
}

/** Removes both tables, whether they exist or not (`destroy` is younger than Debian 12's nft). */
export function removal(name: string): string {
  return tableFamilies
    .map((family) => `add table ${family} ${name}\ndelete table ${family} ${name}\n`)
    .join('');
}

/** What leads from some interfaces to others; empty when they are the same. */
export function interfaceChanges(name: string, before: InterfaceChains, after: InterfaceChains): string {
  const commands: string[] = [];
  for (const [chain, { name: device }] of before)
    if (after.get(chain)?.name !== device) commands.push(`delete chain netdev ${name} ${chain}`);
  for (const [chain, one] of after) {
    if (before.get(chain)?.name === one.name) continue;
    const hook = `type filter hook ingress device "${one.name}" ${priority}`;
    commands.push(
      `add chain netdev ${name} ${chain} { ${hook} }`,
      ...arrivingRules(one).map((rule) => `add rule netdev ${name} ${chain} ${rule} ${tag}`),
    );
  }
  return lines(commands);
}

export function setChanges(name: string, changes: SetChanges): string {
  const commands: string[] = [];
  for (const [set, { added, removed, isEmpty }] of changes) {
    const path = `${tableOf(set)} ${name} ${set}`;
    // a tenth of the time, of which there are seconds when a big table is cleared
    if (removed.length > 0 && isEmpty) commands.push(`flush set ${path}`);
    else if (removed.length > 0) commands.push(`delete element ${path} { ${removed.join(', ')} }`);
    if (added.length > 0) commands.push(`add element ${path} { ${added.join(', ')} }`);
  }
  return lines(commands);
}

/** Family of the table that a set is in. */
export function tableOf(set: string): TableFamily {
  return set.startsWith('marks') ? 'inet' : 'netdev';
}

/** How many rules each chain of one of our tables has. */
export function ruleCounts(family: TableFamily, interfaces: InterfaceChains): ReadonlyMap<string, number> {
  return new Map([
    ...fixedChains[family].map(({ name, rules }) => [name, rules.length] as const),
    ...(family === 'netdev'
      ? Array.from(interfaces, ([chain, one]) => [chain, arrivingRules(one).length] as const)
      : []),
  ]);
}

function arrivingRules({ loopback }: GuardedInterface): readonly string[] {
  return loopback === true ? arrivingLoopback : arriving;
}

function tables(name: string): string {
  return `table netdev ${name} {
${tag}
${families.map(({ family, type }) => setDeclarations(family, type)).join('')}
${counter('services')}
${counter('replies')}
${fixedChains.netdev.map(declaration).join('')}
}
table inet ${name} {
${tag}
${families.map(({ family }) => `set marks${family} { type mark; ${tag}; }`).join('\n')}
${counter('marks')}
${fixedChains.inet.map(declaration).join('')}
}
`;
}

function declaration({ name, hook, rules }: Chain): string {
  return `chain ${name} {
${hook === undefined ? '' : `  ${hook} ${priority}\n`}${lines(rules.map((rule) => `  ${rule} ${tag}`))}}
`;
}

function counter(name: string): string {
  return `counter ${name} { ${tag} }`;
}

function setDeclarations(family: 4 | 6, type: string): string {
  return Object.entries(setColumns)
    .map(([kind, columns]) => `set ${kind}${family} { type ${type}${columns}; ${tag}; }\n`)
    .join('');
}

/**
 * Later fragments first: the kernel would read ports from whatever they begin with (its quick way of loading a header
 * field does not look at the fragment offset). Those to a service are left to the kernel where the address is its own
 * (there they wait for a first fragment that never comes, and expire in silence), and dropped where it would forward
 * them, or where no port matters.
 */
function familyChains({
  family,
  header,
  fragment,
  icmp,
  groups,
}: (typeof families)[number]): readonly Chain[] {
  const [to, from] = [`${header} daddr . meta l4proto`, `${header} saddr . meta l4proto`];
  const drop = 'counter name services drop';
  const reply = `goto reply${family}`;
  return [
    {
      name: `reply${family}`,
      rules: [`${header} daddr @own${family} return`, `${groups} return`, 'counter name replies drop'],
    },
    {
      name: `fragment${family}`,
      rules: [
        `${to} @whole-services${family} ${drop}`,
        `${to} @service-protocols${family} ${header} daddr != @own${family} ${drop}`,
        `${from} @reply-protocols${family} ${reply}`,
      ],
    },
    {
      name: `arriving${family}`,
      rules: [
        `${fragment} goto fragment${family}`,
        `${to} . th dport @services${family} ${drop}`,
        `${from} . th sport @replies${family} ${reply}`,
        `${to} @whole-services${family} ${drop}`,
        `${from} @whole-replies${family} ${reply}`,
        `${header} saddr @servers${family} ${icmp} ${reply}`,
      ],
    },
  ];
}

function lines(commands: readonly string[]): string {
  return commands.map((command) => `${command}\n`).join('');
}
