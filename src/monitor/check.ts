/**
 * What a health check is to the monitor: a question with one deadline whose answer is a result and never an exception.
 * Who asks over the network is in `checks/`; who decides what an answer means is in `judgement.ts`.
 */
import type { CheckSettings } from '../config/model.ts';

export interface CheckResult {
  readonly up: boolean;
  /** For people: `200 OK`, `Connection refused`, `timed out after 5 s`. */
  readonly detail: string;
  /** How long the check took. */
  readonly milliseconds: number;
  /** Down whatever the failure count says (server in maintenance). */
  readonly immediate?: boolean;
}

/**
 * Asks one server once. When `signal` aborts, the checker closes what it has open and answers down with the message
 * of the signal's reason; it never rejects.
 */
export type Checker = (settings: CheckSettings, signal: AbortSignal) => Promise<CheckResult>;

/**
 * What is asked of a server, all of it: real servers of whatever services share one check only when it is the same. ldirectord's id leaves
 * out who logs in and how, and for whom an external program is asked.
 */
export function questionOf(settings: CheckSettings): string {
  const { id, type, login, password, database, secret, tlsverify, httpmethod } = settings;
  const isExternal = type === 'external' || type === 'external-perl';
  const service = isExternal ? [settings.virtualAddress, settings.virtualPort] : [];
  return JSON.stringify([id, login, password, database, secret, tlsverify, httpmethod, ...service]);
}

/** The reason of a signal that aborts because the deadline has passed. */
export class CheckTimeout extends Error {
  override readonly name = 'CheckTimeout';
  readonly seconds: number;

  constructor(seconds: number) {
    super(`timed out after ${seconds} s`);
    this.seconds = seconds;
  }
}

/** The reason of a signal that aborts because nobody wants the answer any more. */
export class CheckCancelled extends Error {
  override readonly name = 'CheckCancelled';

  constructor() {
    super('cancelled');
  }
}

/** Whether the check asks by ICMP echo. A connect says nothing about UDP, so there it is a ping. */
export function isPing(settings: CheckSettings): boolean {
  return settings.type === 'ping' || (settings.type === 'connect' && settings.protocol === 'udp');
}
