/**
 * Notices that the configuration file changed: its modification time is looked at every `checkinterval`, and only when
 * that moved is the content compared. A touch says nothing; a file that can not be read is reported once and waited for.
 */
import { createHash } from 'node:crypto';
import type { Clock, Timer } from '../util/clock.ts';

export interface ConfigWatchParts {
  readonly clock: Clock;
  readonly file: string;
  /** Pause between two looks, in seconds; asked each time, because a reload may change it. */
  interval(): number;
  /** Whether `autoreload=yes` holds now. */
  autoreload(): boolean;
  /** Modification time, in any unit. */
  modified(file: string): Promise<number>;
  read(file: string): Promise<string | Uint8Array>;
  log(message: string): void;
  /** The content is another one; `reread` says whether the operator wants it loaded. */
  changed(reread: boolean): void;
}

export class ConfigWatch {
  readonly #parts: ConfigWatchParts;
  #timer: Timer | undefined;
  #stopped = false;
  #modified: number | undefined;
  #content: string | undefined;
  #complaint: string | undefined;

  constructor(parts: ConfigWatchParts) {
    this.#parts = parts;
  }

  /** Records how the file is now; every later difference counts as a change. */
  start(): void {
    void this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const isChanged = await this.#compare();
    if (this.#stopped) return;
    this.#timer = this.#parts.clock.after(this.#parts.interval() * 1000, () => {
      void this.#look();
    });
    if (isChanged) this.#announce();
  }

  /** Whether the content is another one than at the last look; the first look has nothing to compare with. */
  async #compare(): Promise<boolean> {
    const { file } = this.#parts;
    try {
      const time = await this.#parts.modified(file);
      if (time === this.#modified) return false;
      const content = createHash('sha256')
        .update(await this.#parts.read(file))
        .digest('hex');
      const before = this.#content;
      this.#modified = time;
      this.#content = content;
      this.#complaint = undefined;
      return before !== undefined && before !== content;
    } catch (error) {
      this.#complain(String(error));
      return false;
    }
  }

  #announce(): void {
    const reread = this.#parts.autoreload();
    this.#parts.log(`Configuration file '${this.#parts.file}' has changed on disk`);
    this.#parts.log(reread ? ' - reread new configuration' : ' - ignore new configuration');
    this.#parts.changed(reread);
  }

  #complain(complaint: string): void {
    if (complaint !== this.#complaint)
      this.#parts.log(`Configuration file '${this.#parts.file}': ${complaint}`);
    this.#complaint = complaint;
  }
}
