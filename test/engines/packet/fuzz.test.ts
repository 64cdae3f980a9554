/**
 * Three hundred thousand hostile packets while the table changes, routes change and time leaps: what must be true all the while is in
 * test/support/fuzz/fuzzer.ts. `node dist/tools/bench/fuzz.js` sends ten million.
 */
import t from 'tap';
import { Fuzzer } from '../../support/fuzz/fuzzer.ts';
import { memory } from '../../support/fuzz/memory.ts';

const PACKETS = 300_000;
const MEGABYTE = 2 ** 20;

t.test('hostile packets', (t) => {
  const fuzzer = new Fuzzer(20_240_229);
  const third = (): number => {
    fuzzer.run(PACKETS / 3);
    return memory();
  };
  const first = third();
  third();
  const last = third();
  t.same(fuzzer.faults, []);
  t.ok(last - first < 3 * MEGABYTE, `memory grew by ${Math.round((last - first) / 1024)} KiB`);
  const { packets, sent, changes } = fuzzer.totals;
  t.equal(packets, PACKETS);
  t.ok(
    sent > PACKETS / 20 && changes > PACKETS / 1000,
    `${sent} packets sent, ${changes} changes: the fuzzer reaches something`,
  );
  fuzzer.end();
  t.same(fuzzer.faults, [], 'nothing remains when time has passed');
  t.end();
});
