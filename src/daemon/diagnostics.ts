/** What is said about a file that cannot be used. */
import { formatAsLdirectord, formatDiagnostic } from '../config/diagnostic.ts';
import type { Diagnostic } from '../config/model.ts';

/** ldirectord's line for the error at which it would have stopped, then all errors with line and column. */
export function errorLines(diagnostics: readonly Diagnostic[], pid: number): readonly string[] {
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  return [
    ...errors.slice(0, 1).map((error) => formatAsLdirectord(error, pid)),
    ...errors.map(formatDiagnostic),
  ];
}
