/**
 * The lookup table of mh (Eisenbud et al., "Maglev", NSDI 2016, section 3.4): going round the destination list, each takes
 * the next free slots of a permutation of its own, as many in a row as its weight is worth. Table change only.
 */
import { foldDestination } from './fold-address.ts';
import { greatestCommonDivisor } from './greatest-common-divisor.ts';
import { hsiphash } from './hsiphash.ts';
import { NONE } from './pool.ts';
import type { Pool } from './pool.ts';

/** A prime, so that every step width visits every slot. */
export const MAGLEV_SLOTS = 4093;

/** Key of the hash that places clients in the table, and destinations at the start of their permutation. */
export const MAGLEV_KEY = 2654435761;
const STEP_KEY = 2654446892;

/** Weights are cut to so many bits, or a heavy destination would take the whole table before a light one has its turn. */
const TURN_BITS = 6;

interface Permutation {
  readonly destination: number;
  readonly turns: number;
  readonly step: number;
  slot: number;
}

/** The destination of each slot; NONE in a service whose destinations never had a weight. */
export function fillMaglev(pool: Pool, service: number): Int32Array {
  const table = new Int32Array(MAGLEV_SLOTS).fill(NONE);
  const permutations = permutationsOf(pool, service);
  let free = permutations.length === 0 ? 0 : MAGLEV_SLOTS;
  while (free > 0) {
    for (const permutation of permutations) {
      for (let turn = 0; turn < permutation.turns && free > 0; turn++, free--) {
        while (table[permutation.slot] !== NONE) advance(permutation);
        table[permutation.slot] = permutation.destination;
      }
    }
  }
  return table;
}

function advance(permutation: Permutation): void {
  permutation.slot = (permutation.slot + permutation.step) % MAGLEV_SLOTS;
}

/** In list order. The last weight above 0 counts, so that the table stays while a destination is quiescent. */
function permutationsOf(pool: Pool, service: number): Permutation[] {
  const weighted: number[] = [];
  let divisor = 0;
  let heaviest = 0;
  for (let d = pool.head(service); d !== NONE; d = pool.next(d)) {
    const weight = pool.lastWeight(d);
    if (weight === 0) continue;
    weighted.push(d);
    divisor = greatestCommonDivisor(weight, divisor);
    heaviest = Math.max(heaviest, weight);
  }
  const excess = Math.max(0, 32 - Math.clz32(heaviest / divisor) - TURN_BITS);
  return weighted.map((destination) => {
    const identity = foldDestination(pool, destination) + pool.port(destination);
    return {
      destination,
      turns: Math.max(1, (pool.lastWeight(destination) / divisor) >>> excess),
      slot: hsiphash(identity, MAGLEV_KEY) % MAGLEV_SLOTS,
      step: (hsiphash(identity, STEP_KEY) % (MAGLEV_SLOTS - 1)) + 1,
    };
  });
}
