/**
 * What every check in this folder is: a function that asks one server one question. It may throw; whoever calls it
 * (`checker.ts`) makes a down result of that.
 */
import type { SecureContext } from 'node:tls';
import type { CheckSettings, Receive } from '../../config/model.ts';
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
  readonly find: Find;
  /** False: ftp servers connect to us with their files, instead of the other way round. */
  readonly ftpPassive: boolean;
  log(message: string): void;
}

/**
 * The first of some texts that matches. It is looked for where a pattern that comes to no end holds up nobody; rejects when it takes
 * longer than a second, or than the signal allows.
 */
export type Find = (
  receive: Receive,
  texts: readonly string[],
  signal: AbortSignal,
) => Promise<string | undefined>;

export type Ask = (settings: CheckSettings, signal: AbortSignal, parts: CheckerParts) => Promise<Verdict>;

/** Answers are read up to here; no health page is longer. */
export const answerLimitBytes = 10 * 1024 * 1024;

/** The first text that `receive=` is content with: any, where there is none. */
export async function received(
  { receive }: CheckSettings,
  texts: readonly string[],
  signal: AbortSignal,
  { find }: CheckerParts,
): Promise<string | undefined> {
  return receive === undefined ? texts[0] : find(receive, texts, signal);
}

export const up = (detail: string): Verdict => ({ up: true, detail });
export const down = (detail: string): Verdict => ({ up: false, detail });
