/**
 * The guard as text for iptables-restore, for hosts without nft: chains of ours in raw and mangle, rebuilt whole at each
 * change. A packet costs as many comparisons as there are rules. Pure.
 */
import type { GuardedEndpoint, GuardState } from './guard-state.ts';

export type GuardTable = 'raw' | 'mangle';

/** raw comes before connection tracking; in mangle INPUT a packet has the mark of every PREROUTING rule and is known to be for this host. */
const hooks = { raw: 'PREROUTING', mangle: 'INPUT' } as const;

/** Ports that one multiport match takes. */
const portsPerRule = 15;

const tag = '-m comment --comment directord';

/** The chains of a guard in the order in which they may be deleted. */
function chainsOf(
  chain: string,
  table: 'raw',
): readonly [main: string, fragments: string, errors: string, reply: string];
function chainsOf(chain: string, table: GuardTable): readonly string[];
function chainsOf(chain: string, table: GuardTable): readonly string[] {
  return table === 'mangle' ? [chain] : [chain, `${chain}-FRAG`, `${chain}-ICMP`, `${chain}-REPLY`];
}

/**
 * Input of `iptables-restore --noflush`.
 * @param jumps for each table, whether its hook already leads to our chain
 */
export function replacement(
  chain: string,
  family: 4 | 6,
  state: GuardState,
  jumps: Readonly<Record<GuardTable, boolean>>,
): string {
  const services = state.services.filter((endpoint) => endpoint.family === family);
  const replies = state.replies.filter((endpoint) => endpoint.family === family);
  const marks = state.marks.filter((entry) => entry.family === family);
  const fragment = family === 4 ? '-f' : '-m frag';
  const icmp = family === 4 ? 'icmp' : 'ipv6-icmp';
  const [typeOption, types] =
    family === 4 ? ['-m icmp --icmp-type', [3, 4, 11, 12]] : ['-m icmp6 --icmpv6-type', [1, 2, 3, 4]];
  // Of several types IPv4 wants one, IPv6 multicast and one of the others.
  const local = family === 4 ? ['LOCAL,BROADCAST,MULTICAST,ANYCAST'] : ['LOCAL,ANYCAST', 'MULTICAST'];
  const [main, fragments, errors, reply] = chainsOf(chain, 'raw');
  return (
    section('raw', chain, jumps.raw, [
      ...grouped(services).map(
        ({ address, protocol, ports }) => `${main} -d ${address} -p ${protocol}${ports('d')} ${tag} -j DROP`,
      ),
      ...grouped(replies).map(
        ({ address, protocol, ports }) =>
          `${main} -s ${address} -p ${protocol}${ports('s')} ${tag} -g ${reply}`,
      ),
      `${main} ${fragment} ${tag} -j ${fragments}`,
      ...types.map((type) => `${main} -p ${icmp} ${typeOption} ${type} ${tag} -j ${errors}`),
      // `-m frag` cannot say "later ones only".
      ...(family === 6 ? [`${fragments} -m frag --fragfirst ${tag} -j RETURN`] : []),
      ...pairs(services).map(
        ({ address, protocol }) =>
          `${fragments} -d ${address} -p ${protocol} -m addrtype ! --dst-type LOCAL ${tag} -j DROP`,
      ),
      ...pairs(replies).map(
        ({ address, protocol }) => `${fragments} -s ${address} -p ${protocol} ${tag} -g ${reply}`,
      ),
      ...addresses(replies).map((address) => `${errors} -s ${address} ${tag} -g ${reply}`),
      ...local.map((type) => `${reply} -m addrtype --dst-type ${type} ${tag} -j RETURN`),
      `${reply} ${tag} -j DROP`,
    ]) +
    section(
      'mangle',
      chain,
      jumps.mangle,
      marks.map(({ mark }) => `${chain} -m mark --mark ${mark} ${tag} -j DROP`),
    )
  );
}

/** What `iptables-save` shows of ours, for each table: `jumps` is how often its hook leads to our chain. */
export function present(
  chain: string,
  save: string,
): Readonly<Record<GuardTable, { readonly chains: readonly string[]; readonly jumps: number }>> {
  const find = (table: GuardTable): { chains: readonly string[]; jumps: number } => {
    const from = save.indexOf(`*${table}\n`);
    const lines = from < 0 ? [] : save.slice(from, save.indexOf('\nCOMMIT', from)).split('\n');
    const chains = chainsOf(chain, table).filter((name) =>
      lines.some((line) => line.startsWith(`:${name} `)),
    );
    return { chains, jumps: lines.filter((line) => line.endsWith(jump(table, chain))).length };
  };
  return { raw: find('raw'), mangle: find('mangle') };
}

/** Input of `iptables-restore --noflush` that removes what is present; empty when nothing is. */
export function removal(chain: string, found: ReturnType<typeof present>): string {
  let text = '';
  for (const table of ['raw', 'mangle'] as const) {
    const { chains, jumps } = found[table];
    if (chains.length === 0) continue;
    const lines = [
      ...Array<string>(jumps).fill(`-D ${jump(table, chain)}`),
      ...chains.map((name) => `-F ${name}`),
      ...chains.map((name) => `-X ${name}`),
    ];
    text += `*${table}\n${lines.join('\n')}\nCOMMIT\n`;
  }
  return text;
}

/** As iptables-save prints it, after `-A `. */
function jump(table: GuardTable, chain: string): string {
  return `${hooks[table]} ! -i lo ${tag} -j ${chain}`;
}

/** Naming a chain of ours flushes it; the hook is entered first of all, unless it is there. */
function section(table: GuardTable, chain: string, jumps: boolean, rules: readonly string[]): string {
  return [
    `*${table}`,
    ...chainsOf(chain, table).map((name) => `:${name} - [0:0]`),
    ...(jumps ? [] : [`-I ${jump(table, chain).replace(hooks[table], `${hooks[table]} 1`)}`]),
    ...rules.map((rule) => `-A ${rule}`),
    'COMMIT\n',
  ].join('\n');
}

interface Group {
  readonly address: string;
  readonly protocol: string;
  /** The match, with a space before it. */
  readonly ports: (side: 's' | 'd') => string;
}

/** One rule for up to fifteen ports of an address, or for all of them. */
function grouped(endpoints: readonly GuardedEndpoint[]): readonly Group[] {
  const groups = new Map<string, { address: string; protocol: string; ports: Set<number> }>();
  for (const { address, protocol, port } of endpoints) {
    const key = `${address} ${protocol}`;
    const group = groups.get(key) ?? { address, protocol, ports: new Set() };
    groups.set(key, group);
    group.ports.add(port);
  }
  return [...groups.values()].flatMap(({ address, protocol, ports }) => {
    if (ports.has(0)) return [{ address, protocol, ports: () => '' }];
    const all = [...ports];
    return Array.from({ length: Math.ceil(all.length / portsPerRule) }, (_, i) => {
      const some = all.slice(i * portsPerRule, (i + 1) * portsPerRule).join(',');
      return { address, protocol, ports: (side: 's' | 'd') => ` -m multiport --${side}ports ${some}` };
    });
  });
}

/** Without those whose every port is matched anyhow. */
function pairs(endpoints: readonly GuardedEndpoint[]): readonly { address: string; protocol: string }[] {
  const found = new Map<string, { address: string; protocol: string }>();
  for (const { address, protocol } of endpoints) found.set(`${address} ${protocol}`, { address, protocol });
  for (const { address, protocol, port } of endpoints) if (port === 0) found.delete(`${address} ${protocol}`);
  return [...found.values()];
}

function addresses(endpoints: readonly GuardedEndpoint[]): readonly string[] {
  return [...new Set(endpoints.map(({ address }) => address))];
}
