/** The manual pages of this host, shown by man(1) on the terminal of the caller. */
import { spawnSync } from 'node:child_process';

/** @returns false when there is no man(1) or no such page */
export function showManual(page: string): boolean {
  if (spawnSync('man', ['-w', page], { stdio: 'ignore' }).status !== 0) return false;
  return spawnSync('man', [page], { stdio: 'inherit' }).status === 0;
}
