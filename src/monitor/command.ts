/** Running other programs, as the monitor needs it; the platform does it. */

export interface CommandResult {
  /** Exit status, undefined when there is none (killed, never started). */
  readonly status: number | undefined;
  /** For people: `exit status 1`, `killed by SIGTERM`. */
  readonly detail: string;
  /** Why the program could not be started: `No such file or directory`. */
  readonly startError?: string;
}

/** Runs a program without a shell; never rejects. On abort the program and its children are ended. */
export type RunCommand = (
  file: string,
  args: readonly string[],
  signal: AbortSignal,
) => Promise<CommandResult>;

/** Runs a command line through the shell; never rejects. */
export type Shell = (command: string) => Promise<CommandResult>;
