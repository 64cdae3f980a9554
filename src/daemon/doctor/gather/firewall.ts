/** All rules of both kinds of packet filter, once each: what iptables wrote into nft's tables is read as iptables'. */
import type { ToolResult } from '../../../platform/run-tool.ts';
import { readIptables } from '../firewall/iptables.ts';
import { readNft } from '../firewall/nft.ts';
import type { Chain } from '../firewall/rules.ts';

/** @returns undefined when there is a packet filter that does not let us look, or no tool to look with */
export function gatherChains(
  run: (file: string, args: readonly string[]) => Pick<ToolResult, 'stdout' | 'failure' | 'missing'>,
): readonly Chain[] | undefined {
  const saved = (['iptables', 'ip6tables'] as const).map((command) => ({
    command,
    ...run(`${command}-save`, []),
  }));
  const nft = run('nft', ['-j', 'list', 'ruleset']);
  const all = [...saved, nft];
  if (all.every(({ missing }) => missing)) return undefined;
  if (all.some(({ failure, missing }) => failure !== undefined && !missing)) return undefined;
  const chains = saved.flatMap(({ command, stdout }) => readIptables(stdout, command));
  const known = new Set(chains.map(({ table }) => table));
  const skip = (family: string, table: string): boolean =>
    table.startsWith('directord') || known.has(`${family === 'ip6' ? 'ip6tables' : 'iptables'} -t ${table}`);
  return nft.missing || nft.stdout === '' ? chains : [...chains, ...readNft(nft.stdout, skip)];
}
