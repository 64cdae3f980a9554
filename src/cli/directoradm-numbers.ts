/** Numbers in the columns of `--stats` and `--rate`. */

const suffixes: readonly (readonly [below: number, divisor: number, suffix: string])[] = [
  [1e8, 1, ''],
  [1e9, 1e3, 'K'],
  [1e11, 1e6, 'M'],
  [1e14, 1e9, 'G'],
  [Infinity, 1e12, 'T'],
];

/** Nine characters, abbreviated with K, M, G or T from 100 million on, cut off, not rounded. */
export function abbreviated(value: number): string {
  const [, divisor, suffix] = suffixes.find(([below]) => value < below) ?? [0, 1, ''];
  return (
    Math.floor(value / divisor)
      .toString()
      .padStart(9 - suffix.length) + suffix
  );
}

/** Nine characters, or more with a blank before, of a number in full. */
export function exact(value: number): string {
  return ` ${value.toString().padStart(8)}`;
}
