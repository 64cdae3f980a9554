/** Polling with a deadline, so that a test waits as long as it must and no longer. */
import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds between two looks. */
const interval = 10;

/**
 * Calls `probe` until it gives something other than undefined or false, and gives that.
 * @param seconds after which it throws, naming `what` and the answer of `describe`
 */
export async function waitFor<T>(
  what: string,
  seconds: number,
  probe: () => T | Promise<T>,
  describe?: () => string | Promise<string>,
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, false | undefined>;
    if (performance.now() > deadline) {
      const detail = describe === undefined ? '' : `\n${await describe()}`;
      throw new Error(`waited ${seconds} s for: ${what}${detail}`);
    }
    await pause(interval);
  }
}

/** The same for a condition that explains itself. */
export function until<T>(
  condition: () => T | Promise<T>,
  seconds = 10,
): Promise<Exclude<T, false | undefined>> {
  return waitFor(condition.toString(), seconds, condition);
}
