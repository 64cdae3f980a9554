/**
 * One text on its way from who writes it to who reads it, with bounded memory: the writer waits while much is unread,
 * and is told when nobody will read the rest.
 */
import type { TextFile } from '../text-files.ts';

/** Bytes that may be unread before the writer waits, and the most that one read gets. */
export const mostUnread = 1 << 20;

export interface StreamParts {
  readonly file: TextFile;
  /** Bytes at the beginning that are not wanted. */
  readonly skip: number;
  /** There is more to {@link TextStream.take}, or the end. */
  changed(): void;
  /** Why the text could not be written, for people. */
  problem(message: string): void;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class TextStream {
  readonly #parts: StreamParts;
  readonly #pieces: Buffer[] = [];
  #unread = 0;
  #skip: number;
  #state: 'writing' | 'ended' | 'failed' | 'closed' = 'writing';
  /** Who waits for room. */
  readonly #waiting: Waiting[] = [];

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.#skip = parts.skip;
  }

  /** Begins to write, when the caller is done with what it does. */
  start(): void {
    const { file } = this.#parts;
    const written = Promise.resolve().then(() => file.produce((piece) => this.#write(piece)));
    void written.then(
      () => {
        this.#finish('ended');
      },
      (error: unknown) => {
        // Whoever was told that the reader went away is expected to fail.
        if (this.#state !== 'closed') this.#parts.problem(`${file.path}: ${(error as Error).message}`);
        this.#finish('failed');
      },
    );
  }

  get failed(): boolean {
    return this.#state === 'failed';
  }

  /** Whether a read of so many bytes can be answered in full, or with all that is left. */
  has(size: number): boolean {
    return this.#state !== 'writing' || this.#unread >= Math.min(size, mostUnread);
  }

  /** @returns at most so many bytes; none at the end */
  take(size: number): Buffer {
    const taken: Buffer[] = [];
    let wanted = Math.min(size, this.#unread);
    this.#unread -= wanted;
    while (wanted > 0) {
      const piece = this.#pieces[0];
      if (piece === undefined) break;
      taken.push(piece.subarray(0, wanted));
      if (piece.length > wanted) this.#pieces[0] = piece.subarray(wanted);
      else this.#pieces.shift();
      wanted -= Math.min(piece.length, wanted);
    }
    if (this.#unread < mostUnread) for (const { resolve } of this.#waiting.splice(0)) resolve();
    return Buffer.concat(taken);
  }

  /** Nobody reads any more. */
  close(): void {
    this.#finish('closed');
    this.#pieces.length = this.#unread = 0;
    for (const { reject } of this.#waiting.splice(0)) reject(gone());
  }

  #finish(state: 'ended' | 'failed' | 'closed'): void {
    if (this.#state !== 'writing') return;
    this.#state = state;
    if (state !== 'closed') this.#parts.changed();
  }

  #write(piece: string): Promise<void> {
    if (this.#state === 'closed') return Promise.reject(gone());
    const bytes = Buffer.from(piece);
    const unwanted = Math.min(this.#skip, bytes.length);
    this.#skip -= unwanted;
    if (bytes.length > unwanted) this.#pieces.push(bytes.subarray(unwanted));
    this.#unread += bytes.length - unwanted;
    this.#parts.changed();
    if (this.#unread < mostUnread) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
}

function gone(): Error {
  return new Error('the reader went away');
}
