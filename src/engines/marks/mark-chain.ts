/**
 * The part of a packet filter that decides about marks: hooked chains with the rules that they lead to. A rule that we
 * cannot follow is left out and refused by name, where it could change a mark.
 */
import type { MarkMatch } from './mark-matches.ts';

export type MarkAction =
  /** mark = (mark & keep) ^ flip */
  | { readonly kind: 'mark'; readonly keep: number; readonly flip: number }
  | { readonly kind: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly rules: readonly MarkRule[] };

export interface MarkRule {
  readonly matches: readonly MarkMatch[];
  readonly action: MarkAction;
}

export interface MarkChain {
  /** `mangle PREROUTING`, `inet filter prerouting` */
  readonly name: string;
  readonly families: readonly (4 | 6)[];
  readonly priority: number;
  readonly rules: readonly MarkRule[];
}

export interface RefusedRule {
  readonly rule: string;
  readonly reason: string;
  readonly families: readonly (4 | 6)[];
  /** The one mark that it could set; undefined when it could be any. */
  readonly mark: number | undefined;
}

export interface ParsedMarkRules {
  readonly rules: readonly MarkChain[];
  readonly refused: readonly RefusedRule[];
}

/** A rule as a parser found it. */
export interface RuleDraft {
  /** For people. */
  readonly text: string;
  readonly matches: readonly MarkMatch[];
  readonly action:
    | Exclude<MarkAction, { kind: 'jump' | 'goto' }>
    | { readonly kind: 'jump' | 'goto'; readonly chain: string }
    /** Sets the mark to something that no rule text tells. */
    | { readonly kind: 'some mark' };
  /** What of it we do not know: `-m conntrack`. */
  readonly unknown: string | undefined;
}

/** A hooked chain as a parser found it. */
export interface HookDraft {
  readonly name: string;
  readonly families: readonly (4 | 6)[];
  readonly priority: number;
  readonly chain: string;
  /** Why no rule here may set marks, when that is so. */
  readonly tooLate?: string;
}

/** Links the drafts; chains without any rule that sets marks are nobody's concern and vanish. */
export function linkChains(
  hooks: readonly HookDraft[],
  chains: ReadonlyMap<string, readonly RuleDraft[]>,
): ParsedMarkRules {
  const rules: MarkChain[] = [];
  const refused: RefusedRule[] = [];
  for (const hook of hooks) {
    const reached = reachable(hook.chain, chains);
    const setsMark = ({ action }: RuleDraft): boolean =>
      action.kind === 'mark' ||
      action.kind === 'some mark' ||
      ('chain' in action && reachable(action.chain, chains).some(setsMark));
    const last = reached.findLastIndex(setsMark);
    // What comes after the last mark changes none.
    for (const draft of reached.slice(0, last + 1)) {
      const reason = refusal(draft, hook);
      if (reason === undefined) continue;
      const { action, text } = draft;
      const mark = action.kind === 'mark' && action.keep === 0 ? action.flip >>> 0 : undefined;
      refused.push({ rule: text, reason, families: hook.families, mark });
    }
    if (last < 0 || hook.tooLate !== undefined) continue;
    const { name, families, priority } = hook;
    rules.push({ name, families, priority, rules: linked(hook.chain, chains, new Map()) });
  }
  return { rules, refused };
}

/**
 * A rule that drops packets for reasons that we do not know is no refusal: the engine handles copies, so it handles what
 * a firewall drops (as it does with rules in INPUT).
 */
function refusal({ action, unknown }: RuleDraft, { tooLate }: HookDraft): string | undefined {
  if (action.kind === 'mark' || action.kind === 'some mark') {
    if (tooLate !== undefined) return tooLate;
    return action.kind === 'mark'
      ? unknown && `${unknown} is not understood`
      : (unknown ?? 'sets an unknown mark');
  }
  if (action.kind === 'drop' || tooLate !== undefined) return undefined;
  return unknown && `${unknown} is not understood, and marks depend on this rule`;
}

function reachable(chain: string, chains: ReadonlyMap<string, readonly RuleDraft[]>): readonly RuleDraft[] {
  const seen = new Set<string>();
  const from = (name: string): readonly RuleDraft[] => {
    if (seen.has(name)) return [];
    seen.add(name);
    return (chains.get(name) ?? []).flatMap((draft) => {
      if (!('chain' in draft.action)) return [draft];
      // Otherwise a target like LOG, which is nothing to marks.
      return chains.has(draft.action.chain) ? [draft, ...from(draft.action.chain)] : [];
    });
  };
  return from(chain);
}

function linked(
  name: string,
  chains: ReadonlyMap<string, readonly RuleDraft[]>,
  done: Map<string, readonly MarkRule[]>,
): readonly MarkRule[] {
  const known = done.get(name);
  if (known !== undefined) return known;
  const rules: MarkRule[] = [];
  done.set(name, rules);
  for (const { matches, action, unknown } of chains.get(name) ?? []) {
    if (unknown !== undefined || action.kind === 'some mark') continue;
    if ('chain' in action) {
      rules.push({ matches, action: { kind: action.kind, rules: linked(action.chain, chains, done) } });
    } else rules.push({ matches, action });
  }
  return rules;
}
