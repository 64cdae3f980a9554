/**
 * Kernel pipes for `splice`: bytes go from socket to socket without a copy into this program. A connection holds a pipe
 * only while bytes are in it, so ten thousand idle connections hold none. Hot path.
 */
import * as c from '../../platform/libc.ts';

/** Bytes a pipe is asked to hold: one turn of a bulk transfer. */
const PIPE_BYTES = 256 * 1024;
const MOST_SPARE = 64;

export interface Pipe {
  readonly input: number;
  readonly output: number;
  /** Capacity in bytes. */
  readonly size: number;
  /** Bytes in it now. */
  held: number;
}

export class Pipes {
  readonly #spare: Pipe[] = [];
  readonly #fds = new Uint8Array(8);
  readonly #view = new DataView(this.#fds.buffer);

  /** An empty pipe, or undefined when no descriptors are left (the caller copies instead). */
  take(): Pipe | undefined {
    const spare = this.#spare.pop();
    if (spare !== undefined) return spare;
    if (c.pipe2(this.#fds, c.SOCK_NONBLOCK | c.SOCK_CLOEXEC) < 0) return undefined;
    const output = this.#view.getInt32(0, true);
    const input = this.#view.getInt32(4, true);
    const size = c.fcntl(input, c.F_SETPIPE_SZ, PIPE_BYTES);
    return { input, output, size: size > 0 ? size : 65536, held: 0 };
  }

  /** Gives a pipe back; one with bytes left in it is closed, since they belong to nobody any more. */
  release(pipe: Pipe): void {
    if (pipe.held === 0 && this.#spare.length < MOST_SPARE) {
      this.#spare.push(pipe);
      return;
    }
    c.close(pipe.input);
    c.close(pipe.output);
  }
}
