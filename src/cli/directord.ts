/**
 * The `directord` command: understands its arguments, answers what needs no daemon, and hands every action to whoever
 * performs it. Answers to the name `ldirectord` too, and then speaks as that program does.
 */
import { basename } from 'node:path';
import type { CommandLine } from './directord-arguments.ts';
import { parseArguments } from './directord-arguments.ts';
import type { HostCommand } from './host-commands.ts';
import { usageText, versionText } from './directord-help.ts';

export interface Streams {
  out(text: string): void;
  err(text: string): void;
}

/** An action as asked for. `program` is the name to use in messages, `path` where the program was started from. */
export type Invocation = Extract<CommandLine, { kind: 'action' }> & {
  readonly program: 'ldirectord' | 'directord';
  readonly path: string;
};

export interface Surroundings {
  readonly streams: Streams;
  /** Shows the manual page; false when this host can not. */
  showManual(page: string): boolean;
  /** Does what an action asks for. @returns the exit code */
  perform(invocation: Invocation): Promise<number>;
  /** Prepares or examines this host. @returns the exit code */
  performOnHost(command: HostCommand): Promise<number>;
}

/** @param argv as `process.argv`: node, the program's path, arguments. @returns the exit code */
export async function directord(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  const { streams } = surroundings;
  const path = argv[1] ?? 'directord';
  const program = programName(path);
  const commandLine = await parseArguments(argv.slice(2));
  switch (commandLine.kind) {
    case 'usage':
      for (const problem of commandLine.problems) streams.err(`${problem}\n`);
      if (program === 'directord' && commandLine.hint !== undefined) streams.err(`${commandLine.hint}\n`);
      streams.out(usageText(program));
      return 255;
    case 'version':
      streams.out(versionText(program));
      return 0;
    case 'help':
      if (!surroundings.showManual('directord')) streams.out(usageText(program));
      return 0;
    case 'realserver':
    case 'doctor':
    case 'capture':
    case 'simulate':
      return surroundings.performOnHost(commandLine);
    case 'action':
      for (const word of commandLine.ignored) {
        streams.err(`${program}: ${word} is ignored: options stand before the configuration file\n`);
      }
      return surroundings.perform({ ...commandLine, program, path });
  }
}

/** `ldirectord` when invoked under that name, else `directord`. */
export function programName(path: string): 'ldirectord' | 'directord' {
  return basename(path).replace(/\.[jt]s$/, '') === 'ldirectord' ? 'ldirectord' : 'directord';
}
