/** The kernel guard by nft: two tables of ours, changed by one transaction a time. */
import type { GuardContent } from './guard-nft-rules.ts';
import { changes, contentOf, removal, tableFamilies, wholeTables } from './guard-nft-rules.ts';
import { removeIptablesLeftovers } from './guard-iptables.ts';
import type { GuardedInterface, GuardState } from './guard-state.ts';
import { nothing } from './guard-state.ts';
import type { GuardCount, GuardCounters, KernelGuard } from './kernel-guard.ts';
import { Netlink } from './netlink.ts';
import type { ToolResult } from './run-tool.ts';
import { runTool, runToolSync } from './run-tool.ts';
import { Turns } from './turns.ts';

/** @returns why nft cannot be used, when it cannot */
export async function openNftGuard(name: string): Promise<KernelGuard | string> {
  const leftovers = await Promise.all(
    tableFamilies.map((family) => runTool('nft', ['-t', 'list', 'table', family, name])),
  );
  for (const [at, family] of tableFamilies.entries()) {
    const { missing, failure, stdout } = leftovers[at] as ToolResult;
    if (missing) return 'nft: not installed';
    if (failure === undefined && !stdout.includes('comment "directord"'))
      throw new Error(
        `nft: the table ${family} ${name} is not directord's: rename it, or choose another control socket`,
      );
  }
  const guard = new NftGuard(name);
  if (leftovers.every(({ failure }) => failure === undefined)) return guard;
  const { failure } = await runTool('nft', ['-f', '-'], wholeTables(name, contentOf(nothing)));
  return failure === undefined ? guard : `nft -f -: ${failure}`;
}

class NftGuard implements KernelGuard {
  readonly means = 'nft';
  readonly #name: string;
  readonly #turns = new Turns();
  /** What our tables hold; undefined before the first replace(), when they may be an earlier run's. */
  #content: GuardContent | undefined;
  /** As nft prints them, without elements and counts. */
  #parts: ReadonlyMap<string, string> = new Map();

  constructor(name: string) {
    this.#name = name;
  }

  replace(state: GuardState): Promise<void> {
    return this.#turns.take(async () => {
      const wanted = contentOf(state);
      if (this.#content === undefined) {
        await this.#whole(wanted);
        await removeIptablesLeftovers(this.#name);
        return;
      }
      const text = changes(this.#name, this.#content, wanted);
      if (text === '') return;
      const { failure } = await runTool('nft', ['-f', '-'], text);
      // Somebody changed or flushed our tables; or an interface is gone, and older kernels have removed its chain.
      if (failure !== undefined) await this.#whole(wanted);
      else await this.#done(wanted);
    });
  }

  restore(): Promise<boolean> {
    return this.#turns.take(async () => {
      if (this.#content === undefined) return false;
      const now = await this.#list();
      const changed = [...this.#parts].filter(([part, text]) => now.get(part) !== text);
      if (changed.length === 0) return false;
      const { interfaces } = existing(this.#content);
      const isGone = (part: string): boolean =>
        this.#content?.interfaces.has(part) === true && !interfaces.has(part);
      if (changed.every(([part]) => isGone(part))) return false;
      await this.#whole(this.#content);
      return true;
    });
  }

  /** One transaction, so that there is no moment without a guard. A chain for an interface that is gone would be an error. */
  async #whole(content: GuardContent): Promise<void> {
    const possible = existing(content);
    await nft(['-f', '-'], wholeTables(this.#name, possible));
    await this.#done(possible);
  }

  async #done(content: GuardContent): Promise<void> {
    const before = this.#content;
    this.#content = content;
    if (before === undefined || !sameInterfaces(before, content)) this.#parts = await this.#list();
  }

  /** Our sets, counters and chains by name. nft 1.0.6 cannot list two tables at once. */
  async #list(): Promise<ReadonlyMap<string, string>> {
    const tables = await Promise.all(
      tableFamilies.map((family) => runTool('nft', ['-s', '-t', 'list', 'table', family, this.#name])),
    );
    const text = tables.map(({ stdout }) => stdout).join('');
    return new Map(
      [...text.matchAll(/^\t\w+ (\S+) \{\n[^]*?^\t\}/gm)].map(([part, name = '']) => [name, part]),
    );
  }

  remove(): Promise<void> {
    return this.#turns.take(async () => {
      await nft(['-f', '-'], removal(this.#name));
      this.#content = undefined;
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

/** Without the interfaces that this host has no longer. */
function existing(content: GuardContent): GuardContent {
  const netlink = new Netlink();
  try {
    const names = new Map(netlink.links().map(({ index, name }) => [index, name]));
    const present = ([, { index, name }]: [string, GuardedInterface]): boolean => names.get(index) === name;
    return { ...content, interfaces: new Map([...content.interfaces].filter(present)) };
  } finally {
    netlink.close();
  }
}

function sameInterfaces({ interfaces: one }: GuardContent, { interfaces: other }: GuardContent): boolean {
  return one.size === other.size && [...one].every(([chain, { name }]) => other.get(chain)?.name === name);
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
