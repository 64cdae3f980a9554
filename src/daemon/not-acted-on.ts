/** Directives that this version reads but does not act on, said once at load instead of being dropped in silence. */
import type { Configuration, Diagnostic } from '../config/model.ts';

export function notActedOn({ file, global }: Configuration): readonly Diagnostic[] {
  if (!global.fork) return [];
  const message = 'fork=yes: not needed here, all checks run at once in one process';
  return [{ severity: 'warning', file, message }];
}
