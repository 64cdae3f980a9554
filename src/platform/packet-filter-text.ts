/** What the administrator's packet filter says, as text: read for the rules that set firewall marks. */
import { NfTables } from './nf-tables.ts';
import type { ToolResult } from './run-tool.ts';
import { runTool } from './run-tool.ts';

export interface PacketFilterText {
  /** Output of iptables-save (4) and ip6tables-save (6); also of the legacy ones, where both kinds have tables. */
  readonly iptables: Readonly<Record<4 | 6, readonly string[]>>;
  /** Output of `nft -j list ruleset`; undefined without nft. */
  readonly nft: string | undefined;
  /** Tables (`ip mangle`) that nft shows but that iptables-save has shown already. */
  readonly iptablesTables: ReadonlySet<string>;
}

/** Reads it again only when somebody may have changed it: with large sets, ours among them, a look takes nft seconds. */
export class PacketFilterReader {
  #generation: number | undefined;
  #text: PacketFilterText | undefined;

  /** @param known - what is as it was need not be told again @returns undefined when it is as it was. Rejects as {@link readPacketFilter}. */
  async read(known: boolean): Promise<PacketFilterText | undefined> {
    const generation = generationNow();
    const isSame = generation !== undefined && generation === this.#generation;
    if (this.#text !== undefined && isSame && !hasLegacy(this.#text)) return known ? undefined : this.#text;
    this.#text = await readPacketFilter();
    this.#generation = generation;
    return this.#text;
  }
}

function generationNow(): number | undefined {
  const nfTables = new NfTables();
  try {
    return nfTables.generation();
  } catch {
    // a kernel without nf_tables refuses: then the rules are read each time
    return undefined;
  } finally {
    nfTables.close();
  }
}

/** Rules of iptables-legacy, which is not nf_tables. */
function hasLegacy({ iptables }: PacketFilterText): boolean {
  return [iptables[4], iptables[6]].some((texts) =>
    texts.some((text) => text !== '' && !text.includes('(nf_tables)')),
  );
}

/** A tool that is not installed has set no rules. Rejects with the command's name and its error when one fails. */
export async function readPacketFilter(): Promise<PacketFilterText> {
  const [ip, ip6, nft] = await Promise.all([
    save('iptables'),
    save('ip6tables'),
    read('nft', ['-j', 'list', 'ruleset']),
  ]);
  return {
    iptables: { 4: ip, 6: ip6 },
    nft: nft?.stdout,
    iptablesTables: new Set([...nftTables('ip', ip), ...nftTables('ip6', ip6)]),
  };
}

/** By the header that each table has, which tells the kind of iptables. */
function nftTables(family: string, texts: readonly string[]): readonly string[] {
  return texts.flatMap((text) =>
    [...text.matchAll(/\(nf_tables\) on .*\n\*(\S+)\n/g)].map(([, table]) => `${family} ${table ?? ''}`),
  );
}

async function save(program: 'iptables' | 'ip6tables'): Promise<readonly string[]> {
  const found = await read(`${program}-save`, []);
  if (found === undefined) return [];
  if (!found.stderr.includes(`${program}-legacy tables present`)) return [found.stdout];
  const legacy = await read(`${program}-legacy-save`, []);
  return [found.stdout, legacy?.stdout ?? ''];
}

async function read(file: string, args: readonly string[]): Promise<ToolResult | undefined> {
  const result = await runTool(file, args);
  if (result.missing) return undefined;
  if (result.failure !== undefined) throw new Error(`${[file, ...args].join(' ')}: ${result.failure}`);
  return result;
}
