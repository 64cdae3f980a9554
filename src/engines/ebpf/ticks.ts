/** Time as BPF programs count it: ticks of 2^20 ns (1.05 ms) of the monotonic clock in 32 bits. They wrap: compare differences. */

const tickNanoseconds = 2 ** 20;

/** Longer times could not be told from negative ones: 26 days. */
const mostTicks = 2 ** 31 - 1;

/** Whole ones: nothing lasts longer than it was told. */
export function ticksOf(seconds: number): number {
  return Math.min(mostTicks, Math.floor((seconds * 1e9) / tickNanoseconds));
}

export function secondsOf(ticks: number): number {
  return (ticks * tickNanoseconds) / 1e9;
}

/** Now, by the kernel's clock. */
export function monotonicTicks(): number {
  return Number(BigInt.asUintN(32, process.hrtime.bigint() >> 20n));
}

/** Ticks from one time to another, negative when `to` is earlier. */
export function ticksBetween(from: number, to: number): number {
  return (to - from) | 0;
}
