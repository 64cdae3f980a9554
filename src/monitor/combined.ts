/**
 * Checktype N ("combined"): one negotiate, then after a success N connects, then one negotiate again. A failure of
 * either kind makes the next check a negotiate.
 */
import type { CheckSettings } from '../config/model.ts';

export class Combined {
  #connectsLeft = 0;

  /** What to ask now; a check of any other type is asked as it is. */
  next(settings: CheckSettings): CheckSettings {
    if (settings.type !== 'combined') return settings;
    return { ...settings, type: this.#connectsLeft > 0 ? 'connect' : 'negotiate' };
  }

  answered(asked: CheckSettings, up: boolean): void {
    if (!up) this.#connectsLeft = 0;
    else if (this.#connectsLeft > 0) this.#connectsLeft -= 1;
    else this.#connectsLeft = asked.connects;
  }
}
