/**
 * Commands from standard input, one a line (`-R`), over one connection. A refused command is reported and the next one
 * runs; a line that makes no sense ends the restore. The exit status is that of the last line.
 */
import type { ControlBackend } from '../control/protocol.ts';
import type { DirectoradmContext } from './directoradm.ts';
import { execute, reportFault } from './directoradm.ts';
import { parseCommand } from './directoradm-command.ts';
import { tryHelp, UsageFault } from './directoradm-faults.ts';

/** Commands that are on their way at the same time; the director takes them in order. */
const inFlight = 64;

type Outcome = { readonly text: string } | { readonly fault: unknown };

/** @returns the exit status @throws UsageFault */
export async function restore(director: ControlBackend, context: DirectoradmContext): Promise<number> {
  const running: Promise<Outcome>[] = [];
  let status = 0;
  const settleOne = async (): Promise<void> => {
    const outcome = await running.shift();
    if (outcome === undefined) return;
    if ('text' in outcome) {
      context.out(outcome.text);
      status = 0;
    } else {
      status = reportFault(outcome.fault, context);
    }
  };
  try {
    for await (const line of linesOf(context.input())) {
      const words = line.split(/[ \t]+/).filter((word) => word !== '' && word !== 'ipvsadm');
      if (words.length === 0) continue;
      const command = await parseCommand(words, context.program, context.names);
      if (command.command === 'restore') throw tryHelp(context.program);
      if (command.control !== undefined) throw new UsageFault(255, '--control: unknown option');
      running.push(settled(execute(command, director, context)));
      if (running.length >= inFlight) await settleOne();
    }
  } finally {
    while (running.length > 0) await settleOne();
  }
  return status;
}

async function settled(text: Promise<string>): Promise<Outcome> {
  try {
    return { text: await text };
  } catch (fault) {
    return { fault };
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
