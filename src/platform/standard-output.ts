/** Standard output as a pipe into another program, which may go away while there is nothing to write to it. */
import * as libc from './libc.ts';

/** struct epoll_event of x86-64 is packed; elsewhere it is longer. */
const eventBytes = 16;

export class StandardOutput {
  readonly isTTY = process.stdout.isTTY;
  /** Events of nobody but a reader that goes: the kernel tells of that unasked. */
  readonly #watch = libc.epollCreate(libc.SOCK_CLOEXEC);
  #gone = false;

  constructor() {
    process.stdout.on('error', () => {
      this.#gone = true;
    });
    // not of a file, where nobody can go
    libc.epollCtl(this.#watch, libc.EPOLL_CTL_ADD, process.stdout.fd, new Uint8Array(eventBytes));
  }

  write(bytes: Uint8Array): void {
    process.stdout.write(bytes);
  }

  isOpen(): boolean {
    return !this.#gone && libc.epollWait(this.#watch, new Uint8Array(eventBytes), 1, 0) <= 0;
  }
}
