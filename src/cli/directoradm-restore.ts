/**
 * Commands from standard input, one a line (`-R`), over one connection. A refused command is reported and the next one
 * runs; a line that makes no sense ends the restore. The exit status is that of the last line.
 */
import type { ControlBackend } from '../control/protocol.ts';
import type { Refusal } from '../control/protocol.ts';
import { maxVerbs } from '../control/protocol.ts';
import type { Verb } from '../director/verbs.ts';
import type { DirectoradmContext } from './directoradm.ts';
import { aboutText, execute, reportFault } from './directoradm.ts';
import type { Command } from './directoradm-command.ts';
import { parseCommand } from './directoradm-command.ts';
import { CommandFault, refusalText, tryHelp, UsageFault } from './directoradm-faults.ts';

/** @returns the exit status @throws UsageFault */
export async function restore(director: ControlBackend, context: DirectoradmContext): Promise<number> {
  const pending = new PendingVerbs(director, context);
  try {
    for await (const lines of linesOf(context.input())) {
      for (const line of lines) {
        const words = wordsOf(line);
        if (words.length === 0) continue;
        const command = await parseLine(words, context);
        if (!(command instanceof CommandFault) && command.command === 'apply') {
          await pending.add(command.verb);
          continue;
        }
        await pending.send();
        if (command instanceof CommandFault) {
          pending.status = reportFault(command, context);
        } else if (command.command === 'help' || command.command === 'version') {
          context.out(await aboutText(command, context));
          return 0;
        } else {
          context.out(await execute(command, director, context));
          pending.status = 0;
        }
      }
      // whoever writes the lines may wait for what comes of these before the next
      await pending.post();
    }
  } finally {
    await pending.send();
  }
  return pending.status;
}

/** Verbs of consecutive lines travel together. */
class PendingVerbs {
  /** Exit status of the last line so far. */
  status = 0;
  readonly #director: ControlBackend;
  readonly #context: DirectoradmContext;
  #verbs: Verb[] = [];
  /** Of what was sent last. */
  #last: Promise<void> = Promise.resolve();

  constructor(director: ControlBackend, context: DirectoradmContext) {
    this.#director = director;
    this.#context = context;
  }

  async add(verb: Verb): Promise<void> {
    this.#verbs.push(verb);
    if (this.#verbs.length === maxVerbs) await this.post();
  }

  /** Resolves when all that was added has been answered. */
  async send(): Promise<void> {
    await this.post();
    await this.#last;
  }

  /** Sends what was added. Resolves when what was sent before has been answered: the next lines are read while these are on their way. */
  async post(): Promise<void> {
    const verbs = this.#verbs;
    if (verbs.length === 0) return;
    this.#verbs = [];
    const before = this.#last;
    this.#last = Promise.all([this.#director.applyAll(verbs), before]).then(([refusals]) => {
      this.#report(verbs, refusals);
    });
    // Whoever waits for it next hears of it; until then the next line may be long in coming.
    this.#last.catch(() => undefined);
    await before;
  }

  #report(verbs: readonly Verb[], refusals: readonly Refusal[]): void {
    for (const { at, error } of refusals) {
      const verb = verbs[at] as Verb;
      this.status = reportFault(new CommandFault(refusalText(verb.verb, error)), this.#context);
    }
    if (refusals.at(-1)?.at !== verbs.length - 1) this.status = 0;
  }
}

/** A word is at most 4096 bytes long, then another begins; what follows a NUL in it is not seen. */
function wordsOf(line: string): readonly string[] {
  const words = line.match(/[^ \t\r]{1,4096}/g) ?? [];
  return words.map((word) => word.replace(/\0.*/s, '')).filter((word) => word !== 'ipvsadm');
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

/** The lines that each piece of the input completes. */
async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<readonly string[], void, undefined> {
  let held = '';
  for await (const piece of pieces) {
    const lines = (held + piece).split('\n');
    held = lines.pop() ?? '';
    yield lines;
  }
  yield [held];
}
