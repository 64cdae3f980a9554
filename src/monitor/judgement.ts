/**
 * What a check result means for one real server: consecutive failures are counted, and only the last one that
 * `failurecount` allows takes a server down. Pure; the table is somebody else's.
 */
import type { CheckResult } from './check.ts';

export interface Health {
  /** `unchecked`: not in service and no result yet; the first result decides. */
  readonly state: 'unchecked' | 'up' | 'down';
  /** Consecutive failures. */
  readonly failures: number;
}

export type Judgement = 'unchanged' | 'soft failure' | 'goes down' | 'comes up';

export interface Judged {
  readonly health: Health;
  readonly judgement: Judgement;
}

export const unchecked: Health = { state: 'unchecked', failures: 0 };

export function judge(
  health: Health,
  result: Pick<CheckResult, 'up' | 'immediate'>,
  failurecount: number,
): Judged {
  if (result.up) {
    const judgement = health.state === 'up' ? 'unchanged' : 'comes up';
    return { health: { state: 'up', failures: 0 }, judgement };
  }
  if (health.state === 'down') return { health, judgement: 'unchanged' };
  const failures = health.failures + 1;
  const bearable = health.state === 'up' && failures < failurecount && result.immediate !== true;
  if (bearable) return { health: { state: 'up', failures }, judgement: 'soft failure' };
  return { health: { state: 'down', failures }, judgement: 'goes down' };
}
