/** The programs for firewall marks that are in force, one a family: swapped whole, so that no packet meets half of one. */
import type { MarkRules } from '../marks/mark-rules.ts';
import { MarkRule, mostMarkRules, Settings } from './layout.ts';
import { MarkProgram, TooManyMarkRulesError } from './mark-program.ts';
import type { NamedInterface } from './mark-questions.ts';
import type { LoadedDirector } from './program.ts';

/** Index of the first rule: the two halves of IPv4 come first, those of IPv6 follow. */
const places = { 4: 1, 6: 1 + 2 * mostMarkRules } as const;

export class MarkPrograms {
  readonly #rules: Uint8Array;
  /** First rules, of IPv4 and of IPv6. */
  readonly #firsts: Uint16Array;

  constructor(director: Pick<LoadedDirector, 'view'>) {
    this.#rules = new Uint8Array(director.view('mark_rules'));
    this.#firsts = new Uint16Array(director.view('settings'), Settings.markRules, 2);
  }

  /** @returns why those of a family cannot be in force: then its packets get no marks */
  enforce(
    rules: MarkRules,
    interfaces: readonly NamedInterface[],
  ): Readonly<Record<4 | 6, string | undefined>> {
    return { 4: this.#put(4, rules, interfaces), 6: this.#put(6, rules, interfaces) };
  }

  #put(family: 4 | 6, rules: MarkRules, interfaces: readonly NamedInterface[]): string | undefined {
    const word = family === 4 ? 0 : 1;
    try {
      const program = new MarkProgram(rules.chains(family), family, interfaces);
      const inForce = this.#firsts[word] ?? 0;
      const middle = places[family] + mostMarkRules;
      const base = inForce < middle ? middle : places[family];
      const { bytes, first } = program.records(base);
      this.#rules.set(bytes, base * MarkRule.bytes);
      this.#firsts[word] = first;
      return undefined;
    } catch (error) {
      if (!(error instanceof TooManyMarkRulesError)) throw error;
      this.#firsts[word] = 0;
      return error.message;
    }
  }
}
