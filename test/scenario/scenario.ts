/** A tap test with a laboratory of its own. */
import t, { type Test } from 'tap';
import { Lab, skipReason, type LabOptions } from './lab.ts';

/** Runs `body` in a new lab; skipped, with the reason, where there can be none. A failure shows the director's log. */
export function scenario(
  name: string,
  body: (t: Test, lab: Lab) => Promise<void>,
  options: LabOptions = {},
): void {
  void t.test(name, { skip: skipReason, timeout: 60_000 }, async (t) => {
    const lab = await Lab.open('namespaces', options);
    t.teardown(async () => {
      if (!t.passing()) t.comment(`log of the director:\n${lab.log()}`);
      await lab.close();
    });
    await body(t, lab);
  });
}

/** The same over each engine that forwards packets: nobody who uses them should be able to tell which it is. */
export function packetScenario(...[name, body, options]: Parameters<typeof scenario>): void {
  for (const engine of ['packet', 'ebpf'] as const)
    scenario(`${name}, ${engine} engine`, body, { ...options, engine });
}

/** Counts equal words: `{ rs1: 2, rs2: 1 }`. */
export function tally(words: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
