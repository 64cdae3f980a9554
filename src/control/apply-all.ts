/** Several verbs in one go, as a restore sends them: a refused one does not keep the next from being applied. */
import type { Verb } from '../director/verbs.ts';
import { DirectorError } from '../director/verbs.ts';
import type { Refusal } from './protocol.ts';

/** @param apply - throws DirectorError when it refuses @returns what was refused, in order */
export function applyAll(verbs: readonly Verb[], apply: (verb: Verb) => void): readonly Refusal[] {
  const refusals: Refusal[] = [];
  for (const [at, verb] of verbs.entries()) {
    try {
      apply(verb);
    } catch (error) {
      if (!(error instanceof DirectorError)) throw error;
      refusals.push({ at, error: { code: error.code, message: error.message } });
    }
  }
  return refusals;
}
