/** What went wrong, in the words that operators know from their shell: `Connection refused`. */
import { getSystemErrorMap } from 'node:util';

export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [, text] = (hasErrno(error) && getSystemErrorMap().get(error.errno)) || [];
  if (text === undefined) return error.message;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function hasErrno(error: Error): error is Error & { errno: number } {
  return 'errno' in error && typeof error.errno === 'number';
}
