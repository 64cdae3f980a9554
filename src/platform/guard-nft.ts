/** The kernel guard by nft: one table of ours, changed by one transaction a time. */
import type { GuardSets } from './guard-nft-rules.ts';
import { changes, removal, setsOf, wholeTable } from './guard-nft-rules.ts';
import { removeIptablesLeftovers } from './guard-iptables.ts';
import type { GuardState } from './guard-state.ts';
import { nothing } from './guard-state.ts';
import type { GuardCount, GuardCounters, KernelGuard } from './kernel-guard.ts';
import { runTool, runToolSync } from './run-tool.ts';
import { Turns } from './turns.ts';

/** @returns why nft cannot be used, when it cannot */
export async function openNftGuard(name: string): Promise<KernelGuard | string> {
  const leftover = await runTool('nft', ['-t', 'list', 'table', 'inet', name]);
  if (leftover.missing) return 'nft: not installed';
  const guard = new NftGuard(name);
  if (leftover.failure === undefined) {
    if (leftover.stdout.includes('comment "directord"')) return guard;
    throw new Error(
      `nft: the table inet ${name} is not directord's: rename it, or choose another control socket`,
    );
  }
  const { failure } = await runTool('nft', ['-f', '-'], wholeTable(name, setsOf(nothing)));
  return failure === undefined ? guard : `nft -f -: ${failure}`;
}

class NftGuard implements KernelGuard {
  readonly means = 'nft';
  readonly #name: string;
  readonly #turns = new Turns();
  /** What our table holds; undefined before the first replace(), when it may be an earlier run's. */
  #sets: GuardSets | undefined;
  /** The table as nft prints it, without elements and counts. */
  #listing = '';

  constructor(name: string) {
    this.#name = name;
  }

  replace(state: GuardState): Promise<void> {
    return this.#turns.take(async () => {
      const wanted = setsOf(state);
      if (this.#sets === undefined) {
        await this.#whole(wanted);
        await removeIptablesLeftovers(this.#name);
        return;
      }
      const text = changes(this.#name, this.#sets, wanted);
      if (text === '') return;
      const { failure } = await runTool('nft', ['-f', '-'], text);
      // Somebody changed or flushed our table.
      if (failure === undefined) this.#sets = wanted;
      else await this.#whole(wanted);
    });
  }

  restore(): Promise<boolean> {
    return this.#turns.take(async () => {
      if (this.#sets === undefined || (await listing(this.#name)) === this.#listing) return false;
      await this.#whole(this.#sets);
      return true;
    });
  }

  /** One transaction, so that there is no moment without a table. */
  async #whole(sets: GuardSets): Promise<void> {
    await nft(['-f', '-'], wholeTable(this.#name, sets));
    this.#sets = sets;
    this.#listing = await listing(this.#name);
  }

  remove(): Promise<void> {
    return this.#turns.take(async () => {
      await nft(['-f', '-'], removal(this.#name));
      this.#sets = undefined;
    });
  }

  removeSync(): void {
    const { failure } = runToolSync('nft', ['-f', '-'], removal(this.#name));
    if (failure !== undefined) throw new Error(`nft -f -: ${failure}`);
  }

  counters(): Promise<GuardCounters> {
    return this.#turns.take(async () => {
      const text = await nft(['list', 'counters', 'table', 'inet', this.#name]);
      return {
        services: countOf(text, 'services'),
        replies: countOf(text, 'replies'),
        marks: countOf(text, 'marks'),
      };
    });
  }
}

async function nft(args: readonly string[], input = ''): Promise<string> {
  const { failure, stdout } = await runTool('nft', args, input);
  if (failure !== undefined) throw new Error(`nft ${args.join(' ')}: ${failure}`);
  return stdout;
}

/** Empty when there is no such table. */
async function listing(name: string): Promise<string> {
  return (await runTool('nft', ['-s', '-t', 'list', 'table', 'inet', name])).stdout;
}

function countOf(text: string, name: string): GuardCount {
  const found = new RegExp(`counter ${name} \\{[^}]*?packets (\\d+) bytes (\\d+)`).exec(text);
  return { packets: Number(found?.[1] ?? 0), bytes: Number(found?.[2] ?? 0) };
}
