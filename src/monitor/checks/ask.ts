/**
 * What every check in this folder is: a function that asks one server one question. It may throw; whoever calls it
 * (`checker.ts`) makes a down result of that.
 */
import type { SecureContext } from 'node:tls';
import type { CheckSettings } from '../../config/model.ts';
import type { Address } from '../../util/ip.ts';
import type { Clock } from '../../util/clock.ts';
import type { RunCommand } from '../command.ts';

export interface Verdict {
  readonly up: boolean;
  readonly detail: string;
}

/** Sends up to `count` echo requests, `milliseconds` apart. Resolves with the first answer, rejects without one. */
export type Ping = (
  address: Address,
  attempts: { readonly count: number; readonly milliseconds: number },
  signal: AbortSignal,
) => Promise<void>;

export interface CheckerParts {
  readonly clock: Clock;
  readonly ping: Ping;
  readonly run: RunCommand;
  /** The certificate authorities that https checks believe. */
  readonly trust: () => SecureContext;
  log(message: string): void;
}

export type Ask = (settings: CheckSettings, signal: AbortSignal, parts: CheckerParts) => Promise<Verdict>;

/** Answers are read up to here; no health page is longer. */
export const answerLimitBytes = 10 * 1024 * 1024;

export const up = (detail: string): Verdict => ({ up: true, detail });
export const down = (detail: string): Verdict => ({ up: false, detail });
