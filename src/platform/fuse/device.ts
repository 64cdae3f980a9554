/**
 * /dev/fuse without a thread that waits for it: the kernel says with a signal that there is a request. Node's event
 * loop cannot watch this file, and a thread that blocks in it would keep the process from ending (native-notes/fuse.md).
 */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { constants as os } from 'node:os';
import { errno, errorText, fcntl } from '../libc.ts';
import { requestBytes } from './protocol.ts';

const F_GETFL = 3;
const F_SETFL = 4;
const F_SETOWN = 8;
const F_SETSIG = 10;
const O_ASYNC = 0o20000;

/** Instead of SIGIO, which ends a process that does not handle it; this one is ignored then. */
const signal = 'SIGURG';

/** Requests after which others get their turn, however many more there are. */
const turn = 64;

export interface DeviceEvents {
  /** A request; the buffer is used again for the next. */
  request(message: Buffer): void;
  /** Nothing will come any more. @param why for people */
  ended(why: string): void;
}

export class FuseDevice {
  readonly #buffer = Buffer.alloc(requestBytes);
  readonly #fd: number;
  #events: DeviceEvents | undefined;
  #continues = false;

  /** @throws as open(2) fails; children do not inherit it (O_CLOEXEC, as all that Node opens) */
  constructor() {
    this.#fd = openSync('/dev/fuse', constants.O_RDWR | constants.O_NONBLOCK);
  }

  /** For the mount options. */
  get descriptor(): number {
    return this.#fd;
  }

  /** Begins to take requests. Only a mounted device can be listened to. @throws when the kernel refuses */
  listen(events: DeviceEvents): void {
    this.#events = events;
    process.on(signal, this.#take);
    this.#control(F_SETOWN, process.pid);
    this.#control(F_SETSIG, os.signals[signal]);
    this.#control(F_SETFL, this.#control(F_GETFL, 0) | O_ASYNC);
    // What came before there were signals.
    this.#take();
  }

  /** Sends a reply. That nobody waits for it any more is no failure. */
  reply(message: Buffer): void {
    if (this.#events === undefined) return;
    try {
      writeSync(this.#fd, message);
    } catch (error) {
      // ENOENT: the request was withdrawn; that everything ended the next reading says
      if (codeOf(error) !== 'ENOENT' && !isEnd(error)) this.#events.ended((error as Error).message);
    }
  }

  close(): void {
    this.#events = undefined;
    closeSync(this.#fd);
    process.off(signal, this.#take);
  }

  readonly #take = (): void => {
    for (let count = 0; count < turn; count++) {
      const length = this.#receive();
      if (length === undefined) return;
      this.#events?.request(this.#buffer.subarray(0, length));
    }
    if (this.#continues) return;
    this.#continues = true;
    setImmediate(() => {
      this.#continues = false;
      this.#take();
    });
  };

  #control(command: number, value: number): number {
    const result = fcntl(this.#fd, command, value);
    if (result < 0) throw new Error(`/dev/fuse cannot signal: ${errorText(errno())}`);
    return result;
  }

  /** @returns undefined when there is nothing now, or nothing any more */
  #receive(): number | undefined {
    while (this.#events !== undefined) {
      try {
        return readSync(this.#fd, this.#buffer);
      } catch (error) {
        const code = codeOf(error);
        if (code === 'EAGAIN') return undefined;
        // ENOENT: a request that was withdrawn while it was read
        if (code === 'ENOENT' || code === 'EINTR') continue;
        this.#events.ended(isEnd(error) ? 'somebody unmounted it' : (error as Error).message);
      }
    }
    return undefined;
  }
}

/** It was unmounted, or its connection aborted. */
function isEnd(error: unknown): boolean {
  return ['ENODEV', 'ECONNABORTED'].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
