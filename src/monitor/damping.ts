/**
 * Flap damping of one real server: too many changes of state within a time keep it out until it has been well for as
 * long. Pure; times are milliseconds of the monitor's clock.
 */
import type { FlapDamping } from '../config/model.ts';

export interface Flapping {
  /** When it went down or came up, within the time that damping looks at; oldest first. */
  readonly changes: readonly number[];
  readonly damped: boolean;
  /** Damped, and all checks since then were good. */
  readonly wellSince: number | undefined;
}

export const steady: Flapping = { changes: [], damped: false, wellSince: undefined };

/** The server goes down or is about to come up: enters the change, and damps if it is one too many. */
export function changed(flapping: Flapping, { changes: most, seconds }: FlapDamping, now: number): Flapping {
  const changes = [...flapping.changes.filter((at) => now - at < seconds * 1000), now].slice(-most);
  return { ...flapping, changes, damped: flapping.damped || changes.length >= most };
}

/** A check of a damped server has ended. @returns {@link steady} when it may come back */
export function checked(flapping: Flapping, up: boolean, { seconds }: FlapDamping, now: number): Flapping {
  if (!up) return { ...flapping, wellSince: undefined };
  const wellSince = flapping.wellSince ?? now;
  return now - wellSince >= seconds * 1000 ? steady : { ...flapping, wellSince };
}

/** Milliseconds that a damped server still has to be well. */
export function dampedFor({ wellSince }: Flapping, { seconds }: FlapDamping, now: number): number {
  return seconds * 1000 - (wellSince === undefined ? 0 : now - wellSince);
}
