/** What the monitor knows of a service, as it is told to those who ask. */
import type { VirtualState } from '../monitor/monitor.ts';
import type { ServiceHealth } from '../observe/health.ts';

export function serviceHealth({ id, fallback, fallbackActive, reals }: VirtualState): ServiceHealth {
  const servers = reals.map((real) => {
    const { name, state, stateFor, dampedFor, failures, failurecount, nextCheck, lastResult } = real;
    const check = lastResult && {
      up: lastResult.up,
      detail: lastResult.detail,
      milliseconds: lastResult.milliseconds,
    };
    return { name, state, stateFor, dampedFor, failures, failurecount, check, nextCheck };
  });
  return { id, fallback, fallbackActive, servers };
}
