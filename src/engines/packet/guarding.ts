/**
 * Keeps the kernel guard at what the engine wants: wishes that come while others are carried out are carried out together after them,
 * those that failed are tried again, and rules that somebody removed are put back.
 */
import type { GuardChange, KernelGuard } from '../../platform/kernel-guard.ts';

export interface GuardingParts {
  readonly guard: KernelGuard;
  /** What must be done before the kernel leaves to us what is wanted when this is called. */
  before(): Promise<void>;
  problem(message: string): void;
}

export class Guarding {
  readonly #parts: GuardingParts;
  /** The guard has not heard of these. */
  #wanted: GuardChange[] = [];
  /** There is something that is not in force. */
  #due = false;
  #applying = false;
  #checking = false;
  #last: Promise<void> = Promise.resolve();
  /** What was complained about last, until something succeeds. */
  #complaint = '';

  constructor(parts: GuardingParts) {
    this.#parts = parts;
  }

  get means(): KernelGuard['means'] {
    return this.#parts.guard.means;
  }

  want(change: GuardChange): void {
    this.#wanted.push(change);
    this.#due = true;
    if (this.#applying) return;
    this.#applying = true;
    this.#after(() => {
      this.#applying = false;
      return this.#apply();
    });
  }

  /** To be called now and then. */
  check(): void {
    if (this.#checking) return;
    this.#checking = true;
    this.#after(async () => {
      this.#checking = false;
      if (this.#due) await this.#apply();
      else if (await this.#parts.guard.restore())
        this.#parts.problem(
          'somebody removed the rules that keep the kernel off the virtual services; they are back',
        );
    });
  }

  /** When everything that was wanted so far is in force, or has been complained about. */
  settled(): Promise<void> {
    return this.#last;
  }

  async remove(): Promise<void> {
    await this.#last;
    await this.#parts.guard.remove();
  }

  /** For the way out of the process. */
  removeSync(): void {
    this.#parts.guard.removeSync();
  }

  async #apply(): Promise<void> {
    if (!this.#due) return;
    // What comes from now on waits for a call of `before` of its own.
    const ready = this.#wanted.length;
    await this.#parts.before();
    for (const change of this.#wanted.splice(0, ready)) this.#parts.guard.change(change);
    this.#due = this.#wanted.length > 0;
    try {
      await this.#parts.guard.apply();
    } catch (error) {
      this.#due = true;
      throw error;
    }
  }

  #after(work: () => Promise<void>): void {
    this.#last = this.#last.then(work).then(
      () => {
        this.#complaint = '';
      },
      (error: unknown) => {
        const { message } = error as Error;
        if (message !== this.#complaint) this.#parts.problem(message);
        this.#complaint = message;
      },
    );
  }
}
