/**
 * The choices of a real kernel (Linux 6.1, IPVS 1.2.1), recorded per scheduler and scenario: every scheduler that we have
 * must make the same. The name of a recording says what was done; servers are added in the order 1, 2, 3.
 */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { replay } from './golden.ts';

const recordings = JSON.parse(
  readFileSync(new URL('../golden/sched.json', import.meta.url), 'utf8'),
) as Record<string, string[]>;

for (const [name, kernel] of Object.entries(recordings)) {
  void t.test(name, (t) => {
    t.same(replay(name, kernel), kernel);
    t.end();
  });
}
