/** Waits for a condition instead of sleeping. */

/** Resolves to the first value that is not false or undefined. @throws when that takes longer than `milliseconds` */
export async function until<T>(
  condition: () => T | Promise<T>,
  milliseconds = 10_000,
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    const value = await condition();
    if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>;
    if (performance.now() > deadline)
      throw new Error(`not so within ${milliseconds} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
