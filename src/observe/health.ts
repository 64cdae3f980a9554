/** The health of services as the monitor sees it, for those who ask: what is told, and a line that sums it up. */
import { count } from '../util/count.ts';

/** Times are milliseconds. */
export interface ServiceHealth {
  /** `tcp:10.1.0.100:80` */
  readonly id: string;
  /** The fallback server, if there is one, and whether it stands in. */
  readonly fallback: string | undefined;
  readonly fallbackActive: boolean;
  readonly servers: readonly ServerHealth[];
}

/** Those in maintenance and those kept out for flapping are down and may be well. */
export type ServerCondition = 'up' | 'down' | 'unchecked' | 'maintenance' | 'damped';

export interface ServerHealth {
  /** As configured: `10.2.0.11:8080`. */
  readonly name: string;
  readonly state: ServerCondition;
  /** For how long it has been in service, out of it, or unchecked. */
  readonly stateFor: number;
  /** Kept out for flapping: how long it still has to be well. */
  readonly dampedFor: number | undefined;
  /** Consecutive failures, out of those that take it down. */
  readonly failures: number;
  readonly failurecount: number;
  readonly check:
    { readonly up: boolean; readonly detail: string; readonly milliseconds: number } | undefined;
  /** Until the next check; 0 when one is under way, undefined when it is never checked. */
  readonly nextCheck: number | undefined;
}

/** `3 services, 7 of 8 servers up`, and what stands in for them. */
export function healthSummary(services: readonly ServiceHealth[]): string {
  const servers = services.flatMap((service) => service.servers);
  const up = servers.filter(({ state }) => state === 'up').length;
  const standIns = services.filter(({ fallbackActive }) => fallbackActive).length;
  const tail = standIns === 0 ? '' : `, ${count(standIns, 'fallback')} in use`;
  return `${count(services.length, 'service')}, ${up} of ${count(servers.length, 'server')} up${tail}`;
}
