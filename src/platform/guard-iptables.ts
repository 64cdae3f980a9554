/** The kernel guard by iptables and ip6tables, where there is no nft. */
import { bridgeTrouble } from './bridge-trouble.ts';
import { present, removal, replacement } from './guard-iptables-rules.ts';
import type { GuardChange, GuardedInterface, GuardState } from './guard-state.ts';
import { ChangingGuardState, nothing } from './guard-state.ts';
import type { GuardCounters, KernelGuard } from './kernel-guard.ts';
import { runTool, runToolSync } from './run-tool.ts';
import { Turns } from './turns.ts';

const programs = [
  { family: 4, save: 'iptables-save', restore: 'iptables-restore' },
  { family: 6, save: 'ip6tables-save', restore: 'ip6tables-restore' },
] as const;

/** Waits for the lock of a legacy iptables at most five seconds. */
const restoreArguments = ['-w', '5', '--noflush'];

/** @returns why iptables cannot be used, when it cannot */
export async function openIptablesGuard(
  name: string,
  interfaces: readonly GuardedInterface[],
): Promise<KernelGuard | string> {
  const trouble = bridgeTrouble(interfaces);
  const chain = name.toUpperCase();
  for (const { family, save, restore } of programs) {
    const saved = await runTool(save, []);
    if (saved.failure !== undefined) return `${save}: ${saved.failure}`;
    if (trouble !== undefined) return trouble;
    const { raw, mangle } = present(chain, saved.stdout);
    if (raw.jumps > 0 && mangle.jumps > 0) continue;
    const text = removal(chain, { raw, mangle }) + replacement(chain, family, nothing, noJumps);
    const { failure } = await runTool(restore, restoreArguments, text);
    if (failure !== undefined) return `${restore}: ${failure}`;
  }
  return new IptablesGuard(chain);
}

/** What an earlier run with iptables left; a host without iptables has nothing of that. */
export async function removeIptablesLeftovers(name: string): Promise<void> {
  const chain = name.toUpperCase();
  for (const { save, restore } of programs) {
    const saved = await runTool(save, []);
    const text = removal(chain, present(chain, saved.stdout));
    if (text !== '') await run(restore, restoreArguments, text);
  }
}

const noJumps = { raw: false, mangle: false };

class IptablesGuard implements KernelGuard {
  readonly means = 'iptables';
  readonly #chain: string;
  readonly #turns = new Turns();
  readonly #wanted = new ChangingGuardState();
  #inForce: GuardState = nothing;

  constructor(chain: string) {
    this.#chain = chain;
  }

  change(change: GuardChange): void {
    this.#wanted.change(change);
  }

  apply(): Promise<void> {
    return this.#turns.take(async () => {
      const state = this.#wanted.now;
      const trouble = bridgeTrouble(state.interfaces);
      if (trouble !== undefined) throw new Error(trouble);
      await this.#build(state);
      this.#inForce = state;
    });
  }

  restore(): Promise<boolean> {
    return this.#turns.take(async () => {
      for (const { save } of programs) {
        const found = present(this.#chain, await run(save, []));
        const whole = found.raw.jumps > 0 && found.mangle.jumps > 0;
        if (whole) continue;
        await this.#build(this.#inForce);
        return true;
      }
      return false;
    });
  }

  remove(): Promise<void> {
    return this.#turns.take(async () => {
      for (const { save, restore } of programs) {
        const text = removal(this.#chain, present(this.#chain, await run(save, [])));
        if (text !== '') await run(restore, restoreArguments, text);
      }
    });
  }

  removeSync(): void {
    for (const { save, restore } of programs) {
      const saved = runToolSync(save, []);
      const text = removal(this.#chain, present(this.#chain, saved.stdout));
      const failure =
        saved.failure ?? (text === '' ? undefined : runToolSync(restore, restoreArguments, text).failure);
      if (failure !== undefined)
        throw new Error(`${saved.failure === undefined ? restore : save}: ${failure}`);
    }
  }

  counters(): Promise<GuardCounters> {
    return this.#turns.take(async () => {
      const ours = new Set([this.#chain, `${this.#chain}-FRAG`]);
      const counts = { services: zero(), replies: zero(), marks: zero() };
      for (const { save } of programs) {
        for (const { table, chain, packets, bytes } of drops(await run(save, ['-c']))) {
          const kind =
            chain === `${this.#chain}-REPLY`
              ? 'replies'
              : !ours.has(chain)
                ? undefined
                : table === 'mangle'
                  ? 'marks'
                  : 'services';
          if (kind === undefined) continue;
          counts[kind].packets += packets;
          counts[kind].bytes += bytes;
        }
      }
      return counts;
    });
  }

  async #build(state: GuardState): Promise<void> {
    for (const { family, save, restore } of programs) {
      const { raw, mangle } = present(this.#chain, await run(save, []));
      const jumps = { raw: raw.jumps > 0, mangle: mangle.jumps > 0 };
      await run(restore, restoreArguments, replacement(this.#chain, family, state, jumps));
    }
  }
}

const zero = (): { packets: number; bytes: number } => ({ packets: 0, bytes: 0 });

interface Drop {
  readonly table: string;
  readonly chain: string;
  readonly packets: number;
  readonly bytes: number;
}

/** The counts of the rules that drop, from `iptables-save -c`. */
function drops(save: string): readonly Drop[] {
  let table = '';
  const found: Drop[] = [];
  for (const line of save.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1);
    const rule = /^\[(\d+):(\d+)\] -A (\S+) .*-j DROP$/.exec(line);
    if (rule === null) continue;
    const [, packets, bytes, chain = ''] = rule;
    found.push({ table, chain, packets: Number(packets), bytes: Number(bytes) });
  }
  return found;
}

async function run(file: string, args: readonly string[], input = ''): Promise<string> {
  const { failure, stdout } = await runTool(file, args, input);
  if (failure !== undefined) throw new Error(`${[file, ...args].join(' ')}: ${failure}`);
  return stdout;
}
