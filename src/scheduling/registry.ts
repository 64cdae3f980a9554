/** All schedulers by kernel name and by the index that stands for them in the {@link Pool}, which counts from 1. */
import { dh } from './dh.ts';
import { fo } from './fo.ts';
import { lblc } from './lblc.ts';
import { lblcr } from './lblcr.ts';
import { lc } from './lc.ts';
import { mh } from './mh.ts';
import { none } from './none.ts';
import { nq } from './nq.ts';
import { ovf } from './ovf.ts';
import { rr } from './rr.ts';
import type { Scheduler } from './scheduler.ts';
import { sed } from './sed.ts';
import { sh } from './sh.ts';
import { twosWith } from './twos.ts';
import { wlc } from './wlc.ts';
import { wrr } from './wrr.ts';

/** Threads of one version share indexes, so the order is free, but a new one goes to the end out of courtesy. */
const schedulers: readonly Scheduler[] = [
  ...[rr, wrr, lc, wlc, sed, nq, fo, ovf, sh, dh, none],
  ...[mh, lblc, lblcr, twosWith(Math.random)],
];

/** Index of a scheduler for {@link Pool.addService}, or undefined for a name that we do not have. */
export function schedulerIndex(name: string): number | undefined {
  const at = schedulers.findIndex((scheduler) => scheduler.name === name);
  return at < 0 ? undefined : at + 1;
}

/** The scheduler of an index. @throws RangeError when there is none: the pool holds no service in that slot. */
export function schedulerAt(index: number): Scheduler {
  const scheduler = schedulers[index - 1];
  if (scheduler === undefined) throw new RangeError(`no scheduler has index ${index}`);
  return scheduler;
}
