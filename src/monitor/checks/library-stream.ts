/**
 * A check's connection as a protocol library may have it: not to be opened again, read up to a limit, and if the library trips over what
 * the server says, then only this connection ends.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { answerLimitBytes } from './ask.ts';

export class LibraryStream extends Duplex {
  readonly #socket: Socket;
  #heard = 0;

  /** @param socket connected; it lives as long as this does, and no longer */
  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket
      .on('data', (chunk: Buffer) => {
        this.#heard += chunk.length;
        if (this.#heard > answerLimitBytes)
          this.destroy(new Error(`more than ${answerLimitBytes} bytes of answer`));
        else if (!this.push(chunk)) socket.pause();
      })
      .on('end', () => this.push(null))
      .on('error', (error) => this.destroy(error))
      .on('close', () => this.destroy());
  }

  /** It is connected already; libraries wait for the event. */
  connect(): this {
    process.nextTick(() => this.emit('connect'));
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  /** What a listener throws would otherwise end the process: parsers do, of answers that nobody foresaw. */
  override emit(...[event, ...values]: [string | symbol, ...unknown[]]): boolean {
    try {
      return super.emit(event, ...values);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
      return true;
    }
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, encoding, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
