/** Questions to the file system that decide whether a configuration is accepted. Passed in, so that parsing stays pure. */
export interface FileProbes {
  /** Why this file can not be opened for appending, in the system's words, or undefined if it can. */
  appendProblem(path: string): string | undefined;
  isDirectory(path: string): boolean;
}

/** For reading a configuration as text alone: every path is fine. */
export const noFileProbes: FileProbes = { appendProblem: () => undefined, isDirectory: () => true };
