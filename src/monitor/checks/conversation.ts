/** A conversation in lines, as mail and news servers have it: the server speaks first, and everything is said in turns. */
import type { Socket } from 'node:net';
import { answerLimitBytes } from './ask.ts';

export class Conversation {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<string, undefined>;
  #text = '';
  #heard = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    this.#chunks = (socket as AsyncIterable<string, undefined>)[Symbol.asyncIterator]();
  }

  say(line: string): void {
    this.#socket.write(`${line}\r\n`);
  }

  /** The server's next line, without its end. @throws when the server closes before it has said one */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line.replace(/\r$/, '');
      }
      const { done, value }: IteratorResult<string, undefined> = await this.#chunks.next();
      if (done === true) throw new Error(closedText(this.#heard, this.#text));
      this.#heard += value.length;
      if (this.#heard > answerLimitBytes) throw new Error(`more than ${answerLimitBytes} bytes of answer`);
      this.#text += value;
    }
  }
}

function closedText(heard: number, rest: string): string {
  if (heard === 0) return 'closed the connection without a word';
  return rest === '' ? 'closed the connection' : `closed the connection in the middle of "${rest}"`;
}
