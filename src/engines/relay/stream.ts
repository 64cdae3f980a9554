/**
 * One direction of a relayed TCP connection: bytes from a source socket to a sink socket. Small messages are copied
 * through a scratch buffer; a stream that fills the buffer is moved by `splice` instead. What the sink does not take
 * stays here and nothing more is read until it does (back-pressure). End of stream is passed on as such (half-close).
 * Hot path.
 */
import * as c from '../../platform/libc.ts';
import type { Pipe, Pipes } from './pipes.ts';

/** Turns of a bulk stream before others get theirs. */
const MOST_TURNS = 8;
/** A read this large means more is coming: splice from now on. */
const BULK_BYTES = 32 * 1024;
const SEND_FLAGS = c.MSG_NOSIGNAL;
const SPLICE_FLAGS = c.SPLICE_F_MOVE | c.SPLICE_F_NONBLOCK;

/** How the source ended: not yet, by FIN, by RST or another error. */
export type Ending = 'open' | 'fin' | 'reset';

/** What the streams of a thread share. */
export interface StreamTools {
  readonly pipes: Pipes;
  /** At least BULK_BYTES long. */
  readonly scratch: Uint8Array;
}

export class Stream {
  readonly #tools: StreamTools;
  source = -1;
  sink = -1;
  readable = false;
  writable = true;
  /** The source's peer has hung up: a short read does not mean that nothing more will come (the end will). */
  hungUp = false;
  /** The source sent urgent data, at which reads stop short and splice stands still. */
  urgent = false;
  /** Leaves the source's bytes where they are; set while the destination is not in the table. */
  held = false;
  ending: Ending = 'open';
  /** The ending has reached the sink. */
  passedOn = false;
  /** The sink takes nothing any more (its peer is gone). */
  broken = false;
  #left: Uint8Array | undefined;
  #pipe: Pipe | undefined;
  #bulk = false;

  constructor(tools: StreamTools) {
    this.#tools = tools;
  }

  /** Bytes to send before anything is read from the source (PROXY protocol header). */
  prepend(bytes: Uint8Array): void {
    this.#left = bytes;
  }

  /** Done with: nothing will move any more. */
  get finished(): boolean {
    return this.passedOn || this.broken;
  }

  /**
   * Moves what can be moved now.
   * @returns the number of bytes read from the source
   */
  pump(): number {
    let total = 0;
    for (let turn = 0; turn < MOST_TURNS; turn++) {
      if (this.finished || !this.#flush()) return total;
      if (this.ending !== 'open') {
        this.#passOn();
        return total;
      }
      if (!this.readable || this.held) return total;
      total += this.#bulk && !this.urgent ? this.#splice() : this.#copy();
    }
    return total;
  }

  /** Whether {@link pump} stopped for fairness only: no event will come for what is still there. */
  get unfinished(): boolean {
    if (this.finished || this.held) return false;
    return this.writable && (this.readable || this.ending !== 'open');
  }

  dispose(): void {
    if (this.#pipe !== undefined) this.#tools.pipes.release(this.#pipe);
    this.#pipe = undefined;
    this.#left = undefined;
  }

  #copy(): number {
    const scratch = this.#tools.scratch;
    const got = c.recv(this.source, scratch, scratch.length, 0);
    if (got <= 0) return this.#readNothing(got);
    if (got < scratch.length && !this.hungUp && !this.urgent) this.readable = false;
    if (got >= BULK_BYTES) this.#bulk = true;
    const sent = c.send(this.sink, scratch, got, SEND_FLAGS);
    if (sent === got) return got;
    if (sent < 0 && !this.#sinkIsFull()) return got;
    this.writable = false;
    this.#left = scratch.slice(Math.max(sent, 0), got);
    return got;
  }

  #splice(): number {
    const pipe = this.#tools.pipes.take();
    if (pipe === undefined) {
      this.#bulk = false;
      return this.#copy();
    }
    const got = c.splice(this.source, null, pipe.input, null, pipe.size, SPLICE_FLAGS);
    if (got <= 0) {
      this.#tools.pipes.release(pipe);
      return this.#readNothing(got);
    }
    // A short splice may also mean a pipe full of small segments, so only EAGAIN proves that the source is empty.
    if (got < BULK_BYTES / 4) this.#bulk = false;
    pipe.held = got;
    this.#pipe = pipe;
    this.#flush();
    return got;
  }

  /** @returns whether nothing is left over, so that more may be read */
  #flush(): boolean {
    if (this.#pipe !== undefined) return this.#flushPipe(this.#pipe);
    if (this.#left === undefined) return true;
    if (!this.writable) return false;
    const sent = c.send(this.sink, this.#left, this.#left.length, SEND_FLAGS);
    if (sent === this.#left.length) {
      this.#left = undefined;
      return true;
    }
    if (sent < 0 && !this.#sinkIsFull()) return false;
    this.writable = false;
    if (sent > 0) this.#left = this.#left.subarray(sent);
    return false;
  }

  #flushPipe(pipe: Pipe): boolean {
    while (pipe.held > 0) {
      if (!this.writable) return false;
      const sent = c.splice(pipe.output, null, this.sink, null, pipe.held, SPLICE_FLAGS);
      if (sent > 0) pipe.held -= sent;
      else if (sent === 0 || this.#sinkIsFull()) this.writable = false;
      else return false;
    }
    this.#pipe = undefined;
    this.#tools.pipes.release(pipe);
    return true;
  }

  #readNothing(got: number): number {
    if (got === 0) {
      this.ending = 'fin';
      return 0;
    }
    this.readable = false;
    if (c.errno() !== c.EAGAIN) this.ending = 'reset';
    return 0;
  }

  /** After a failed send: true when the sink only needs time. */
  #sinkIsFull(): boolean {
    if (c.errno() === c.EAGAIN) return true;
    this.broken = true;
    this.dispose();
    return false;
  }

  #passOn(): void {
    this.passedOn = true;
    if (this.ending === 'fin') c.shutdown(this.sink, c.SHUT_WR);
  }
}
