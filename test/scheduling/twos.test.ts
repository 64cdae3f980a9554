/** The power of two choices, drawn with a generator of known seed: shares of the draw, and who wins it. */
import type { Test } from 'tap';
import t from 'tap';
import { twosWith } from '../../src/scheduling/twos.ts';
import { flowFrom, Lab } from './lab.ts';

const DRAWS = 20_000;

/** Share of the draws for each server. Nothing is counted meanwhile, so loads stay what they are. */
function shares(lab: Lab, count: number): number[] {
  const twos = twosWith(generator(12345));
  const picked = new Map<number, number>();
  for (let draw = 0; draw < DRAWS; draw++) {
    const slot = twos.pick(lab.pool, lab.service, flowFrom(2));
    picked.set(slot, (picked.get(slot) ?? 0) + 1);
  }
  return Array.from({ length: count }, (_, at) => (picked.get(lab.slot(at + 1)) ?? 0) / DRAWS);
}

function near(t: Test, found: readonly number[], expected: readonly number[]): void {
  found.forEach((share, at) => {
    t.ok(Math.abs(share - (expected[at] ?? 0)) < 0.02, `server ${at + 1}: ${share}`);
  });
}

void t.test('idle servers are drawn in proportion to their weights', (t) => {
  const lab = new Lab('twos');
  [1, 3, 0, 6].forEach((weight, at) => {
    lab.add(at + 1, { weight });
  });
  near(t, shares(lab, 4), [0.1, 0.3, 0, 0.6]);
  t.end();
});

void t.test('of the two that are drawn the less loaded for its weight wins', (t) => {
  const lab = new Lab('twos');
  for (const server of [1, 2]) lab.add(server, { weight: 1 });
  lab.pool.addActive(lab.slot(1), 1);
  near(t, shares(lab, 2), [1 / 4, 3 / 4]);
  lab.edit(1, { weight: 3 });
  lab.pool.addActive(lab.slot(2), 1);
  near(t, shares(lab, 2), [15 / 16, 1 / 16]);
  t.end();
});

void t.test('an overloaded or quiescent server is not drawn, and nobody when all are', (t) => {
  const lab = new Lab('twos');
  lab.add(1, { weight: 5, upper: 1 });
  lab.add(2, { weight: 1 });
  lab.pool.addActive(lab.slot(1), 1);
  near(t, shares(lab, 2), [0, 1]);
  lab.edit(2, { weight: 0 });
  t.equal(lab.pick(), undefined);
  lab.delete(1);
  lab.delete(2);
  t.equal(lab.pick(), undefined);
  t.end();
});

/** Park and Miller's minimal standard generator. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}
