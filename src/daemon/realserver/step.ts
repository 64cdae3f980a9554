/** One thing to do on a real server: a shell command that an operator can read, and the one that takes it back. */

export interface Step {
  /** What it is good for, and for which virtual service; printed as a comment. */
  readonly about: string;
  /** A shell test: succeeds when there is nothing (left) to do. */
  readonly done: string;
  readonly command: string;
  /** Prints what is there before the command; only where taking it back needs to know. */
  readonly before?: string;
  /** @param before what was there; undefined when nobody has looked */
  readonly undo: (before: string | undefined) => string;
}

/** Raises a kernel setting to at least `value`. `meaning` is the end of a sentence. */
export function settingStep(key: string, value: number, meaning: string): Step {
  return {
    about: `${key}=${value}: ${meaning}`,
    done: `[ "$(sysctl -n ${key})" -ge ${value} ]`,
    command: `sysctl -w ${key}=${value}`,
    before: `sysctl -n ${key}`,
    undo: (before) => `sysctl -w ${key}=${before ?? '0'}`,
  };
}
