/** Polling with a deadline, so that a scenario waits as long as it must and no longer. */
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Calls `probe` until it gives something other than undefined or false, and gives that.
 * @param seconds after which it throws, naming `what` and the last error or answer of `describe`
 */
export async function until<T>(
  what: string,
  seconds: number,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  describe?: () => string | Promise<string>,
): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) {
      const detail = describe === undefined ? '' : `\n${await describe()}`;
      throw new Error(`waited ${seconds} s for: ${what}${detail}`);
    }
    await pause(20);
  }
}
