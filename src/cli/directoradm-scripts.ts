/** `ipvsadm-save` and `ipvsadm-restore`: what the two small scripts beside ipvsadm do, for links of those names. */
import type { DirectoradmContext } from './directoradm.ts';
import { directoradm } from './directoradm.ts';

/** Prints the table as commands. @returns the exit status */
export async function saveScript(words: readonly string[], context: DirectoradmContext): Promise<number> {
  const wrong = words.find((word) => word.startsWith('-') && word !== '-n');
  if (wrong !== undefined) {
    context.err(
      `${context.program}-save: Script to save the IPVS table to stdout.\n` +
        '   With the -n option, prints out the table in numeric format.\n',
    );
    return 1;
  }
  return directoradm(words.includes('-n') ? ['-S', '-n'] : ['-S'], context);
}

/** Replaces the table by the commands on standard input; lines that start with `#` are comments. */
export async function restoreScript(context: DirectoradmContext): Promise<number> {
  const commands = await withoutComments(context.input());
  const cleared = await directoradm(['-C'], context);
  if (cleared !== 0) return cleared;
  return directoradm(['-R'], { ...context, input: () => pieces(commands) });
}

/** Everything is read before the table is cleared: the input may come from a `-S` of the same table. */
async function withoutComments(input: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of input) text += piece;
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n');
}

async function* pieces(text: string): AsyncGenerator<string, void, undefined> {
  yield await Promise.resolve(text);
}
