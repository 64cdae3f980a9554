/**
 * The kernel guard by nft: two tables of ours, changed by one transaction a time. As long as nf_tables counts no transaction after our
 * last, nobody has touched them.
 */
import { removeIptablesLeftovers } from './guard-iptables.ts';
import type { InterfaceChains } from './guard-nft-rules.ts';
import {
  interfaceChains,
  interfaceChanges,
  ownComment,
  removal,
  ruleCounts,
  setChanges,
  tableFamilies,
  tableOf,
  wholeTables,
} from './guard-nft-rules.ts';
import { GuardSets } from './guard-sets.ts';
import type { GuardChange, GuardedInterface } from './guard-state.ts';
import type { GuardCount, GuardCounters, KernelGuard } from './kernel-guard.ts';
import { Netlink } from './netlink.ts';
import { NfTables } from './nf-tables.ts';
import { runTool, runToolSync } from './run-tool.ts';
import { Turns } from './turns.ts';

/** @returns why nft cannot be used, when it cannot */
export async function openNftGuard(name: string): Promise<KernelGuard | string> {
  let comments: readonly (string | undefined)[];
  try {
    comments = askNfTables((nfTables) => tableFamilies.map((family) => nfTables.comment(family, name)));
  } catch (error) {
    return `nft: ${(error as Error).message}`;
  }
  const foreign = comments.findIndex((comment) => comment !== undefined && comment !== ownComment);
  if (foreign >= 0)
    throw new Error(
      `nft: the table ${tableFamilies[foreign] ?? ''} ${name} is not directord's: rename it, or choose another control socket`,
    );
  const { missing, failure } = comments.includes(undefined)
    ? await runTool('nft', ['-f', '-'], wholeTables(name, new Map(), new Map()))
    : await runTool('nft', ['--version']);
  if (missing) return 'nft: not installed';
  return failure === undefined ? new NftGuard(name) : `nft -f -: ${failure}`;
}

class NftGuard implements KernelGuard {
  readonly means = 'nft';
  readonly #name: string;
  readonly #turns = new Turns();
  readonly #sets = new GuardSets();
  #wantedInterfaces: readonly GuardedInterface[] = [];
  /** Those in force. */
  #interfaces: InterfaceChains = new Map();
  /** What our tables hold: what an earlier run left there, what was last taken of the sets, or we cannot tell. */
  #holds: 'earlier' | 'taken' | 'unknown' = 'earlier';
  #iptablesLeftovers = true;
  /** When nobody had touched our tables after us; undefined when somebody may have. */
  #generation: number | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  change(change: GuardChange): void {
    this.#sets.change(change);
    if (change.interfaces !== undefined) this.#wantedInterfaces = change.interfaces;
  }

  apply(): Promise<void> {
    return this.#turns.take(async () => {
      if (this.#holds !== 'taken' || !(await this.#applyChanges())) await this.#rebuild();
      if (this.#iptablesLeftovers) await removeIptablesLeftovers(this.#name);
      this.#iptablesLeftovers = false;
    });
  }

  restore(): Promise<boolean> {
    return this.#turns.take(async () => {
      if (this.#holds === 'earlier') return false;
      if (this.#holds === 'taken' && askNfTables((nfTables) => this.#isIntact(nfTables))) return false;
      await this.#rebuild();
      return true;
    });
  }

  /** @returns false when they do not fit: somebody changed our tables, or an interface is gone, and older kernels have removed its chain */
  async #applyChanges(): Promise<boolean> {
    const interfaces = interfaceChains(this.#wantedInterfaces);
    const text =
      interfaceChanges(this.#name, this.#interfaces, interfaces) +
      setChanges(this.#name, this.#sets.takeChanges());
    if (text === '') return true;
    return (await this.#commit(text, interfaces, false)) === undefined;
  }

  /** One transaction, so that there is no moment without a guard. A chain for an interface that is gone would be an error. */
  async #rebuild(): Promise<void> {
    this.#wantedInterfaces = existing(this.#wantedInterfaces);
    const interfaces = interfaceChains(this.#wantedInterfaces);
    const text = wholeTables(this.#name, interfaces, this.#sets.takeAll());
    const failure = await this.#commit(text, interfaces, true);
    if (failure !== undefined) throw new Error(`nft -f -: ${failure}`);
  }

  /** One transaction. @returns why it failed */
  async #commit(text: string, interfaces: InterfaceChains, whole: boolean): Promise<string | undefined> {
    // until we know better
    if (this.#holds === 'taken') this.#holds = 'unknown';
    const before = askNfTables((nfTables) => nfTables.generation());
    const { failure } = await runTool('nft', ['-f', '-'], text);
    if (failure !== undefined) return failure;
    const after = askNfTables((nfTables) => nfTables.generation());
    const untouched = whole || this.#generation === before;
    this.#generation = untouched && after === before + 1 ? after : undefined;
    this.#interfaces = interfaces;
    this.#holds = 'taken';
    return undefined;
  }

  /** Looks only if somebody committed something. Elements are counted, not compared: that is how they get lost. */
  #isIntact(nfTables: NfTables): boolean {
    const generation = nfTables.generation();
    if (generation === this.#generation) return true;
    for (const family of tableFamilies) {
      const chains = nfTables.chains(family, this.#name);
      for (const [chain, count] of ruleCounts(family, this.#interfaces)) {
        const found = chains.get(chain);
        if (found === undefined && this.#isGone(chain)) continue;
        const ours = found?.rules.filter((comment) => comment === ownComment).length;
        if (found?.rules.length !== count || ours !== count || found.drops) return false;
      }
    }
    for (const [set, size] of this.#sets.sizes())
      if (nfTables.elements(tableOf(set), this.#name, set) !== size) return false;
    this.#generation = generation;
    return true;
  }

  /** The chain of an interface that this host has no longer. */
  #isGone(chain: string): boolean {
    const one = this.#interfaces.get(chain);
    return one !== undefined && existing([one]).length === 0;
  }

  remove(): Promise<void> {
    return this.#turns.take(async () => {
      await nft(['-f', '-'], removal(this.#name));
      this.#holds = 'earlier';
    });
  }

  removeSync(): void {
    const { failure } = runToolSync('nft', ['-f', '-'], removal(this.#name));
    if (failure !== undefined) throw new Error(`nft -f -: ${failure}`);
  }

  counters(): Promise<GuardCounters> {
    return this.#turns.take(async () => {
      const both = tableFamilies.map((family) => `list counters table ${family} ${this.#name}`).join('; ');
      const text = await nft([both]);
      return {
        services: countOf(text, 'services'),
        replies: countOf(text, 'replies'),
        marks: countOf(text, 'marks'),
      };
    });
  }
}

function askNfTables<Answer>(ask: (nfTables: NfTables) => Answer): Answer {
  const nfTables = new NfTables();
  try {
    return ask(nfTables);
  } finally {
    nfTables.close();
  }
}

/** Without the interfaces that this host has no longer. */
function existing(interfaces: readonly GuardedInterface[]): readonly GuardedInterface[] {
  const netlink = new Netlink();
  try {
    const names = new Map(netlink.links().map(({ index, name }) => [index, name]));
    return interfaces.filter(({ index, name }) => names.get(index) === name);
  } finally {
    netlink.close();
  }
}

async function nft(args: readonly string[], input = ''): Promise<string> {
  const { failure, stdout } = await runTool('nft', args, input);
  if (failure !== undefined) throw new Error(`nft ${args.join(' ')}: ${failure}`);
  return stdout;
}

function countOf(text: string, name: string): GuardCount {
  const found = new RegExp(`counter ${name} \\{[^}]*?packets (\\d+) bytes (\\d+)`).exec(text);
  return { packets: Number(found?.[1] ?? 0), bytes: Number(found?.[2] ?? 0) };
}
