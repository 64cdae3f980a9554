/**
 * Commands from standard input, one a line (`-R`), over one connection. A refused command is reported and the next one
 * runs; a line that makes no sense ends the restore. The exit status is that of the last line.
 */
import type { ControlBackend } from '../control/protocol.ts';
import type { DirectoradmContext } from './directoradm.ts';
import { aboutText, execute, reportFault } from './directoradm.ts';
import type { Command } from './directoradm-command.ts';
import { parseCommand } from './directoradm-command.ts';
import { CommandFault, tryHelp, UsageFault } from './directoradm-faults.ts';

/** Verbs that are on their way at the same time; the director takes them in order. */
const inFlight = 64;

/** @returns the exit status @throws UsageFault */
export async function restore(director: ControlBackend, context: DirectoradmContext): Promise<number> {
  const running: Promise<unknown>[] = [];
  let status = 0;
  const settle = async (left: number): Promise<void> => {
    while (running.length > left) {
      const fault = await running.shift();
      status = fault === undefined ? 0 : reportFault(fault, context);
    }
  };
  try {
    for await (const line of linesOf(context.input())) {
      const words = line.split(/\s+/).filter((word) => word !== '' && word !== 'ipvsadm');
      if (words.length === 0) continue;
      const command = await parseLine(words, context);
      if (command instanceof CommandFault) {
        running.push(Promise.resolve(command));
      } else if (command.command === 'apply') {
        running.push(faultOf(execute(command, director, context)));
        await settle(inFlight);
      } else if (command.command === 'help' || command.command === 'version') {
        await settle(0);
        context.out(await aboutText(command, context));
        return 0;
      } else {
        await settle(0);
        context.out(await execute(command, director, context));
        status = 0;
      }
    }
  } finally {
    await settle(0);
  }
  return status;
}

/** @throws UsageFault */
async function parseLine(
  words: readonly string[],
  context: DirectoradmContext,
): Promise<Exclude<Command, { readonly command: 'restore' }> | CommandFault> {
  try {
    const command = await parseCommand(words, context.program, context.names);
    // Standard input can be read only once, and the connection is there already.
    if (command.command === 'restore') throw tryHelp(context.program);
    if (command.control !== undefined) throw new UsageFault(2, "Illegal 'control' option in a restore");
    return command;
  } catch (error) {
    if (error instanceof CommandFault) return error;
    throw error;
  }
}

/** What an execution failed with, undefined when it did not. */
async function faultOf(execution: Promise<unknown>): Promise<unknown> {
  try {
    await execution;
    return undefined;
  } catch (fault) {
    return fault;
  }
}

async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let held = '';
  for await (const piece of pieces) {
    const lines = (held + piece).split('\n');
    held = lines.pop() ?? '';
    yield* lines;
  }
  yield held;
}
