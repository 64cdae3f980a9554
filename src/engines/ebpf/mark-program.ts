/**
 * Translates the rules that set firewall marks into those that the BPF programs walk through: each asks one question and says where to go
 * on, forward only. Built from the end of the way, so that where a rule leads is always there before the rule; equal ends are one.
 */
import type { MarkChain, MarkRule as FilterRule } from '../marks/mark-chain.ts';
import type { MarkMatch } from '../marks/mark-matches.ts';
import { MarkRule, mostMarkRules } from './layout.ts';
import type { MarkQuestion, NamedInterface } from './mark-questions.ts';
import { cannotFit, questionsOf, setMark } from './mark-questions.ts';

/** Where to go on: the number of a step, 0 for the end of the way. */
type Step = number;

interface StepRule extends MarkQuestion {
  readonly ifSo: Step;
  readonly ifNot: Step;
}

/** Where a walk through a chain goes on. */
interface Ends {
  readonly through: Step;
  readonly accepted: Step;
}

export class TooManyMarkRulesError extends Error {
  constructor() {
    super(`they take more than the ${mostMarkRules} steps that there is room for`);
  }
}

export class MarkProgram {
  readonly #family: 4 | 6;
  readonly #interfaces: readonly NamedInterface[];
  /** Step `n` is at `n - 1`; it leads to smaller ones. */
  readonly #steps: StepRule[] = [];
  readonly #known = new Map<string, Step>();
  readonly #compiled = new Map<readonly FilterRule[], Map<string, Step>>();
  readonly #first: Step;

  /** @param chains those that packets of this family pass, in their order @throws TooManyMarkRulesError */
  constructor(chains: readonly MarkChain[], family: 4 | 6, interfaces: readonly NamedInterface[]) {
    this.#family = family;
    this.#interfaces = interfaces;
    this.#first = chains.reduceRight(
      (next, { rules }) => this.#chain(rules, { through: next, accepted: next }),
      0,
    );
  }

  /**
   * As an array of struct mark_rule, the first of them at index `base` of the map.
   * @returns the index at which the way begins, 0 when no packet gets a mark
   */
  records(base: number): { readonly bytes: Uint8Array; readonly first: number } {
    const count = this.#steps.length;
    const bytes = new Uint8Array(count * MarkRule.bytes);
    const view = new DataView(bytes.buffer);
    const indexOf = (step: Step): number => (step === 0 ? 0 : base + count - step);
    this.#steps.forEach(({ kind, sides, words, ifSo, ifNot }, i) => {
      const at = (count - 1 - i) * MarkRule.bytes;
      view.setUint8(at + MarkRule.kind, kind);
      view.setUint8(at + MarkRule.sides, sides);
      view.setUint16(at + MarkRule.ifSo, indexOf(ifSo), true);
      view.setUint16(at + MarkRule.ifNot, indexOf(ifNot), true);
      words.forEach((word, j) => {
        view.setUint32(at + MarkRule.words + 4 * j, word, true);
      });
    });
    return { bytes, first: indexOf(this.#first) };
  }

  #chain(rules: readonly FilterRule[], ends: Ends): Step {
    const known = this.#compiled.get(rules) ?? new Map<string, Step>();
    this.#compiled.set(rules, known);
    const key = `${ends.through} ${ends.accepted}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const first = rules.reduceRight((next, rule) => this.#rule(rule, next, ends), ends.through);
    known.set(key, first);
    return first;
  }

  #rule({ matches, action }: FilterRule, next: Step, ends: Ends): Step {
    if (matches.some((match) => cannotFit(match, this.#family, this.#interfaces))) return next;
    const fitting = this.#action(action, next, ends);
    return matches.reduceRight((fits, match) => this.#match(match, fits, next), fitting);
  }

  #action(action: FilterRule['action'], next: Step, ends: Ends): Step {
    switch (action.kind) {
      case 'mark':
        return this.#step({ ...setMark(action.keep, action.flip), ifSo: next, ifNot: 0 });
      case 'jump':
        return this.#chain(action.rules, { ...ends, through: next });
      case 'goto':
        return this.#chain(action.rules, ends);
      case 'return':
        return ends.through;
      case 'accept':
        return ends.accepted;
      case 'drop':
        return this.#step({ ...setMark(0, 0), ifSo: 0, ifNot: 0 });
    }
  }

  #match(match: MarkMatch, fits: Step, other: Step): Step {
    // what else asks for another family has been left out
    if (match.kind === 'family' || fits === other) return fits;
    const [ifSo, last] = match.negated ? [other, fits] : [fits, other];
    return questionsOf(match, this.#family, this.#interfaces).reduceRight(
      (ifNot, question) => this.#step({ ...question, ifSo, ifNot }),
      last,
    );
  }

  #step(rule: StepRule): Step {
    const key = JSON.stringify([rule.kind, rule.sides, rule.ifSo, rule.ifNot, rule.words]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#steps.length === mostMarkRules) throw new TooManyMarkRulesError();
    this.#steps.push(rule);
    this.#known.set(key, this.#steps.length);
    return this.#steps.length;
  }
}
