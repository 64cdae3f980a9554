/** A fake server of a protocol in lines: it says its greeting, and to each command what the script has for its first word. */
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';

export interface Script {
  readonly greeting: string;
  /** Default of a word that is not there: silence. */
  readonly replies?: Readonly<Record<string, string | ((socket: Socket, line: string) => void)>>;
  /** `greeting`, or the word after whose reply it closes. */
  readonly hangUp?: string;
}

/** @returns what it heard, in lines, and when the client has closed */
export function scripted(
  { greeting, replies = {}, hangUp }: Script,
  { bytewise = false } = {},
): { server: Server; heard: string[]; ended: Promise<void> } {
  const heard: string[] = [];
  let ends: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (ends = resolve));
  const server = createServer({ noDelay: true }, (socket) => {
    const say = (text: string): void => {
      for (const piece of bytewise ? text : [text]) socket.write(piece);
    };
    let text = '';
    socket.on('error', () => socket.destroy()).on('close', ends);
    say(greeting);
    if (hangUp === 'greeting') socket.end();
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (text + chunk).split('\r\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        heard.push(line);
        const word = line.split(' ', 1)[0] ?? '';
        const reply = replies[word];
        if (typeof reply === 'string') say(reply);
        else reply?.(socket, line);
        if (hangUp === word) socket.end();
      }
    });
  });
  return { server, heard, ended };
}
