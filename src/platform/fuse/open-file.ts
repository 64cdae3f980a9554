/**
 * A file as one reader has it open: a text of its own, written when the first read comes. Reading on costs nothing;
 * reading from anywhere else (`head` gives back what it read too much, netdata rewinds) gets a fresh text from there.
 */
import type { TextFile } from '../text-files.ts';
import { EINTR, EIO } from './protocol.ts';
import { TextStream } from './text-stream.ts';

export interface OpenFileParts {
  readonly file: TextFile;
  /** Answers a read. */
  readonly answer: Answer;
  /** See {@link TextStream}. */
  readonly problem: (message: string) => void;
}

/** @param result bytes (none at the end), or an error number */
export type Answer = (unique: bigint, result: Buffer | number) => void;

interface Read {
  readonly unique: bigint;
  readonly offset: number;
  readonly size: number;
}

export class OpenFile {
  readonly #parts: OpenFileParts;
  /** Those that were not answered yet; the first is what the text is written for. */
  readonly #reads: Read[] = [];
  #stream: TextStream | undefined;
  #position = 0;

  constructor(parts: OpenFileParts) {
    this.#parts = parts;
  }

  read(read: Read): void {
    this.#reads.push(read);
    if (this.#reads.length === 1) this.#serve();
  }

  /**
   * The reader got a signal, and nothing but an answer lets it go on or die. What was not read is there for its next read.
   * @returns whether the request is one of this file's
   */
  interrupt(unique: bigint): boolean {
    const index = this.#reads.findIndex((read) => read.unique === unique);
    const [read] = index < 0 ? [] : this.#reads.splice(index, 1);
    if (read === undefined) return false;
    const bytes = index === 0 ? this.#take(read.size) : undefined;
    this.#parts.answer(unique, bytes === undefined || bytes.length === 0 ? EINTR : bytes);
    if (index === 0) this.#serve();
    return true;
  }

  /** Nobody has it open any more. */
  close(): void {
    this.#stream?.close();
    this.#stream = undefined;
    for (const { unique } of this.#reads.splice(0)) this.#parts.answer(unique, EIO);
  }

  #serve(): void {
    for (let read = this.#reads[0]; read !== undefined; read = this.#reads[0]) {
      const stream = this.#streamAt(read.offset);
      if (!stream.has(read.size)) return;
      this.#reads.shift();
      if (stream.failed) this.#stream = undefined;
      this.#parts.answer(read.unique, stream.failed ? EIO : this.#take(read.size));
    }
  }

  #take(size: number): Buffer {
    const bytes = this.#stream?.take(size) ?? Buffer.alloc(0);
    this.#position += bytes.length;
    return bytes;
  }

  #streamAt(offset: number): TextStream {
    if (this.#stream !== undefined && this.#position === offset) return this.#stream;
    this.#stream?.close();
    const { file, problem } = this.#parts;
    const stream = new TextStream({
      file,
      skip: offset,
      changed: () => {
        if (this.#stream === stream) this.#serve();
      },
      problem,
    });
    this.#stream = stream;
    this.#position = offset;
    stream.start();
    return stream;
  }
}
