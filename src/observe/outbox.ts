/**
 * Mails on their way out: a few at a time, each with a deadline, the rest in a queue with an end. Whoever puts one in never waits, and
 * a mail server that hangs costs mails and nothing else.
 */
import type { Clock } from '../util/clock.ts';
import { oneLine } from '../util/one-line.ts';

export interface OutboxParts<Mail> {
  readonly clock: Clock;
  /** Rejects when the mail could not be sent; may ignore the signal. */
  send(mail: Mail, signal: AbortSignal): Promise<void>;
  /** A mail was not sent, for this reason. */
  failed(mail: Mail, reason: string): void;
  log(message: string): void;
}

const inFlight = 4;
const mostWaiting = 200;
const deadlineSeconds = 30;
const longestReason = 300;

export class Outbox<Mail> {
  readonly #parts: OutboxParts<Mail>;
  readonly #waiting: Mail[] = [];
  readonly #underWay = new Set<AbortController>();
  #dropped = 0;
  #closed = false;
  #whenIdle: (() => void) | undefined;

  constructor(parts: OutboxParts<Mail>) {
    this.#parts = parts;
  }

  add(mail: Mail): void {
    if (this.#closed || this.#waiting.length >= mostWaiting) {
      if (this.#dropped === 0 && !this.#closed)
        this.#parts.failed(mail, `${mostWaiting} wait already; those that follow are counted`);
      this.#dropped += 1;
      return;
    }
    this.#waiting.push(mail);
    this.#next();
  }

  /** Gives what is still here some time, then gives it up. */
  async close(milliseconds: number): Promise<void> {
    if (!this.#isIdle()) {
      await new Promise<void>((resolve) => {
        const timer = this.#parts.clock.after(milliseconds, resolve);
        this.#whenIdle = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.#closed = true;
    this.#dropped += this.#waiting.splice(0).length;
    for (const abort of this.#underWay) abort.abort(new Error('directord ends'));
    this.#sayDropped();
  }

  #next(): void {
    while (this.#underWay.size < inFlight) {
      const mail = this.#waiting.shift();
      if (mail === undefined) return;
      void this.#send(mail);
    }
  }

  async #send(mail: Mail): Promise<void> {
    const abort = new AbortController();
    this.#underWay.add(abort);
    const timer = this.#parts.clock.after(deadlineSeconds * 1000, () => {
      abort.abort(new Error(`timed out after ${deadlineSeconds} s`));
    });
    try {
      await Promise.race([this.#parts.send(mail, abort.signal), aborted(abort.signal)]);
    } catch (error) {
      this.#parts.failed(mail, inShort(error));
    } finally {
      timer.cancel();
      this.#underWay.delete(abort);
    }
    if (this.#waiting.length === 0) this.#sayDropped();
    this.#next();
    if (this.#isIdle()) this.#whenIdle?.();
  }

  #sayDropped(): void {
    if (this.#dropped > 0) this.#parts.log(`${this.#dropped} email messages were not sent`);
    this.#dropped = 0;
  }

  #isIdle(): boolean {
    return this.#waiting.length === 0 && this.#underWay.size === 0;
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error);
    });
  });
}

/** One line: a mail server may have said this. */
function inShort(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return oneLine(text).slice(0, longestReason);
}
