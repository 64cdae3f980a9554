/** `schedflags=`: names of scheduler flags to the bits of the table. ldirectord hands them to ipvsadm unread. */
import type { Report } from './diagnostic.ts';
import type { Written } from './draft.ts';

const bits: ReadonlyMap<string, number> = new Map([
  ['flag-1', 1],
  ['flag-2', 2],
  ['flag-3', 4],
]);

/** Flags with a meaning of their own, for these schedulers only. */
const namedBits: ReadonlyMap<string, readonly [scheduler: string, bit: number]> = new Map([
  ['sh-fallback', ['sh', 1]],
  ['sh-port', ['sh', 2]],
  ['mh-fallback', ['mh', 1]],
  ['mh-port', ['mh', 2]],
]);

/** What is no flag of this scheduler is left out with a warning; ipvsadm would refuse the whole service for it. */
export function parseSchedulerFlags(written: Written, scheduler: string, report: Report): number {
  let flags = 0;
  for (const name of written.text.split(',').filter((word) => word !== '')) {
    const [only, named] = namedBits.get(name) ?? [];
    const bit = named ?? bits.get(name);
    if (bit === undefined || (only !== undefined && only !== scheduler)) {
      report.warning(
        written.at,
        bit === undefined
          ? `"${name}" is no scheduler flag`
          : `"${name}" is no flag of scheduler ${scheduler}`,
        'sh-fallback, sh-port with sh; mh-fallback, mh-port with mh; flag-1, flag-2, flag-3',
      );
    } else {
      flags |= bit;
    }
  }
  return flags;
}
