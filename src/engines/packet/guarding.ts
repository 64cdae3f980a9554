/**
 * Keeps the kernel guard at what the engine wants: of several wishes that come while one is carried out only the last counts, one
 * that failed is tried again, and rules that somebody removed are put back.
 */
import type { GuardState, KernelGuard } from '../../platform/kernel-guard.ts';

export interface GuardingParts {
  readonly guard: KernelGuard;
  /** What must be done before the kernel leaves these to us. */
  before(state: GuardState): Promise<void>;
  problem(message: string): void;
}

export class Guarding {
  readonly #parts: GuardingParts;
  /** Not yet in force. */
  #wanted: GuardState | undefined;
  #last: Promise<void> = Promise.resolve();
  #checking = false;
  /** What was complained about last, until something succeeds. */
  #complaint = '';

  constructor(parts: GuardingParts) {
    this.#parts = parts;
  }

  get means(): KernelGuard['means'] {
    return this.#parts.guard.means;
  }

  want(state: GuardState): void {
    this.#wanted = state;
    this.#after(() => this.#replace());
  }

  /** To be called now and then. */
  check(): void {
    if (this.#checking) return;
    this.#checking = true;
    this.#after(async () => {
      this.#checking = false;
      if (this.#wanted !== undefined) await this.#replace();
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

  async #replace(): Promise<void> {
    const state = this.#wanted;
    if (state === undefined) return;
    this.#wanted = undefined;
    try {
      await this.#parts.before(state);
      await this.#parts.guard.replace(state);
    } catch (error) {
      this.#wanted ??= state;
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
