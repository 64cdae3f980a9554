/**
 * More of a real kernel's choices (Linux 6.1, IPVS 1.2.1), with everything that was done to it on the way: overload, table
 * changes, connections that end, several virtual addresses, IPv6, and programs drawn at random.
 */
import { readFileSync } from 'node:fs';
import t from 'tap';
import type { Recording } from './replay.ts';
import { Replay } from './replay.ts';

const recordings = JSON.parse(
  readFileSync(new URL('../golden/sched-more.json', import.meta.url), 'utf8'),
) as Record<string, Recording>;

for (const [name, recording] of Object.entries(recordings)) {
  t.test(name, (t) => {
    const replay = new Replay(recording);
    t.same(
      recording.steps.map((step) => replay.step(step)),
      recording.steps,
    );
    t.end();
  });
}
