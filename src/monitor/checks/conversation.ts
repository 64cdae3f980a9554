/** A conversation in lines, as mail and news servers have it: the server speaks first, and everything is said in turns. */
import type { Socket } from 'node:net';

/** Characters of one line, and of all: no server of these protocols has so much to say to somebody who only logs in. */
const lineLimit = 64 * 1024;
const talkLimit = 1024 * 1024;

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
      this.#text += value;
      if (this.#heard > talkLimit) throw new Error(`more than ${talkLimit} characters of answer`);
      if (this.#text.length > lineLimit && !this.#text.includes('\n'))
        throw new Error(`a line of more than ${lineLimit} characters`);
    }
  }
}

function closedText(heard: number, rest: string): string {
  if (heard === 0) return 'closed the connection without a word';
  return rest === '' ? 'closed the connection' : `closed the connection in the middle of "${rest}"`;
}
