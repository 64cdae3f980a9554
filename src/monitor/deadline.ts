/** The one deadline of a check: what it opens, says and waits for is over by then. */
import type { CheckService, CheckSettings } from '../config/model.ts';
import type { Clock } from '../util/clock.ts';
import type { Checker, CheckResult } from './check.ts';
import { CheckTimeout, isPing } from './check.ts';

/** @param abort ends the check before its time, with a reason */
export async function askInTime(
  check: Checker,
  settings: CheckSettings,
  clock: Clock,
  abort = new AbortController(),
): Promise<CheckResult> {
  const seconds = deadlineSeconds(settings);
  const deadline = clock.after(seconds * 1000, () => {
    abort.abort(new CheckTimeout(seconds));
  });
  const result = await check(settings, abort.signal);
  deadline.cancel();
  return result;
}

/** Services whose negotiate check ldirectord gives `checktimeout`. */
const byCheckTimeout: ReadonlySet<CheckService> = new Set(['ldap', 'ldaps', 'radius']);

/** Each of the pings a check may try has the whole timeout. */
export function deadlineSeconds(settings: CheckSettings): number {
  const { type, service, checktimeout, negotiatetimeout, checkcount } = settings;
  if (isPing(settings)) return checktimeout * checkcount;
  return type === 'negotiate' && !byCheckTimeout.has(service) ? negotiatetimeout : checktimeout;
}
