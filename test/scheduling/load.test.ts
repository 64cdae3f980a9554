/** Which of two loads is the lighter for its weight: exact, also where the products exceed what a double holds. */
import fc from 'fast-check';
import t from 'tap';
import { lighter } from '../../src/scheduling/load.ts';

const loads = fc.oneof(fc.integer({ min: 0, max: 2 ** 20 }), fc.integer({ min: 0, max: 2 ** 40 }));
const weights = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 2 ** 31 - 1 }));

void t.test('load / weight is compared as exact fractions', (t) => {
  const exact = fc.property(loads, weights, loads, weights, (a, b, c, d) => {
    return lighter(a, b, c, d) === BigInt(a) * BigInt(d) < BigInt(c) * BigInt(b);
  });
  t.doesNotThrow(() => {
    fc.assert(exact, { numRuns: 2000 });
  });
  const heavy = 2 ** 31 - 1;
  const near = 2 ** 38 + 1;
  t.ok(lighter(near, heavy, near + 1, heavy), 'products of 2^69 that differ in the last bits');
  t.notOk(lighter(near, heavy, near, heavy), 'a tie is not lighter');
  t.notOk(lighter(near * 2, heavy - 1, near, (heavy - 1) / 2), 'nor the same fraction written otherwise');
  t.end();
});
