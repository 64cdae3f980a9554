/**
 * Translates the rules that set firewall marks into those that the BPF programs walk through: each asks one question and says where to go
 * on, forward only. Built from the end of the way, so that where a rule leads is always there before the rule; equal ends are one.
 */
import type { MarkChain, MarkRule as FilterRule } from '../marks/mark-chain.ts';
import type { MarkMatch } from '../marks/mark-matches.ts';
import { MarkRule, mostMarkRules } from './layout.ts';
import type { MarkQuestion, NamedInterface } from './mark-questions.ts';
import { cannotFit, questionsOf, setMark } from './mark-questions.ts';

/** Before those are left out that nothing leads to. */
const mostSteps = 16 * mostMarkRules;

/** Where to go on: the number of a step, 0 for the end of the way. */
type Step = number;

interface StepRule extends MarkQuestion {
  readonly ifSo: Step;
  readonly ifNot: Step;
}

/** Conditions that a rule here can have: what asks for another family is left out. */
type Asked = Exclude<MarkMatch, { kind: 'family' }>;

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
  /** Steps in the order in which packets meet them. */
  readonly #order: readonly Step[];

  /** @param chains those that packets of this family pass, in their order @throws TooManyMarkRulesError */
  constructor(chains: readonly MarkChain[], family: 4 | 6, interfaces: readonly NamedInterface[]) {
    this.#family = family;
    this.#interfaces = interfaces;
    this.#first = chains.reduceRight(
      (next, { rules }) => this.#chain(rules, { through: next, accepted: next }),
      0,
    );
    this.#order = this.#reached();
    if (this.#order.length > mostMarkRules) throw new TooManyMarkRulesError();
  }

  /**
   * As an array of struct mark_rule, the first of them at index `base` of the map.
   * @returns the index at which the way begins, 0 when no packet gets a mark
   */
  records(base: number): { readonly bytes: Uint8Array; readonly first: number } {
    const bytes = new Uint8Array(this.#order.length * MarkRule.bytes);
    const view = new DataView(bytes.buffer);
    const indexes = new Map([[0, 0], ...this.#order.map((step, i) => [step, base + i] as const)]);
    const indexOf = (step: Step): number => indexes.get(step) ?? 0;
    this.#order.forEach((step, i) => {
      const { kind, sides, words, ifSo, ifNot } = this.#at(step);
      const at = i * MarkRule.bytes;
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

  /** Steps that some way leads to, each before those that it leads to. */
  #reached(): readonly Step[] {
    const reached = new Set([this.#first]);
    // who leads to a step has a greater number
    for (let step = this.#first; step > 0; step--) {
      if (!reached.has(step)) continue;
      const { ifSo, ifNot } = this.#at(step);
      reached.add(ifSo).add(ifNot);
    }
    reached.delete(0);
    return [...reached].sort((a, b) => b - a);
  }

  #at(step: Step): StepRule {
    const rule = this.#steps[step - 1];
    if (rule === undefined) throw new RangeError(`no step ${step}`);
    return rule;
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
    const asked = matches.filter((match) => match.kind !== 'family');
    // a new mark is another answer to what is asked of the mark
    const known = action.kind === 'mark' ? asked.filter(({ kind }) => kind !== 'mark') : [];
    const fitting = this.#action(action, this.#past(next, known), ends);
    return asked.reduceRight(
      (fits, match, i) => this.#match(match, fits, this.#past(next, asked.slice(0, i), match)),
      fitting,
    );
  }

  /** From `step` on, past the questions that are answered for a packet that fits some conditions, but not another. */
  #past(step: Step, fitting: readonly Asked[], failing?: Asked): Step {
    const answers = new Map<string, boolean>();
    const know = (match: Asked, fits: boolean): void => {
      const questions = questionsOf(match, this.#family, this.#interfaces);
      // which of several it was is not known, when it was one
      if (questions.length === 1 || fits === match.negated)
        for (const question of questions) answers.set(keyOf(question), fits !== match.negated);
    };
    for (const match of fitting) know(match, true);
    if (failing !== undefined) know(failing, false);
    for (let at = step; ;) {
      const rule = this.#steps[at - 1];
      const answer = rule && answers.get(keyOf(rule));
      if (rule === undefined || answer === undefined) return at;
      at = answer ? rule.ifSo : rule.ifNot;
    }
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

  #match(match: Asked, fits: Step, other: Step): Step {
    if (fits === other) return fits;
    const [ifSo, last] = match.negated ? [other, fits] : [fits, other];
    return questionsOf(match, this.#family, this.#interfaces).reduceRight(
      (ifNot, question) => this.#step({ ...question, ifSo, ifNot }),
      last,
    );
  }

  #step(rule: StepRule): Step {
    const key = `${keyOf(rule)} ${rule.ifSo} ${rule.ifNot}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#steps.length === mostSteps) throw new TooManyMarkRulesError();
    this.#steps.push(rule);
    this.#known.set(key, this.#steps.length);
    return this.#steps.length;
  }
}

function keyOf({ kind, sides, words }: MarkQuestion): string {
  return `${kind} ${sides} ${words.join()}`;
}
