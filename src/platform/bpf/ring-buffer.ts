/**
 * Reads what programs write to a BPF_MAP_TYPE_RINGBUF map, straight from its pages: positions of consumer and producer, and records
 * behind an 8-byte header each. One reader at a time; programs drop records while it is full.
 */
import { closeSync } from 'node:fs';
import { EPOLL_CTL_ADD, epollCreate, epollCtl, EPOLLIN, errno, SOCK_CLOEXEC } from '../libc.ts';
import { BpfError } from './bpf-error.ts';
import type { BpfMap } from './bpf-map.ts';
import { mapMemory, pageBytes } from './map-memory.ts';

const HEADER_BYTES = 8;
/** Bits of a record's length: it is still being written; it was given up. */
const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;
const LENGTH = 0x3fff_ffff;

export class RingBuffer {
  readonly #size: number;
  readonly #consumer: BigUint64Array;
  readonly #producer: BigUint64Array;
  /** The records, twice, one behind the other: none is cut by the end. */
  readonly #bytes: Buffer;
  readonly #words: Uint32Array;
  readonly #epoll: number;
  #closed = false;

  /** @param map must stay open as long as this */
  constructor(map: BpfMap) {
    const what = `the ring buffer ${map.name}`;
    this.#size = map.maxEntries;
    this.#consumer = new BigUint64Array(
      mapMemory(what, { fd: map.fd, length: pageBytes, writable: true }),
      0,
      1,
    );
    const rest = mapMemory(what, {
      fd: map.fd,
      length: pageBytes + 2 * this.#size,
      offset: pageBytes,
      writable: false,
    });
    this.#producer = new BigUint64Array(rest, 0, 1);
    this.#bytes = Buffer.from(rest, pageBytes);
    this.#words = new Uint32Array(rest, pageBytes);
    this.#epoll = epollCreate(SOCK_CLOEXEC);
    // struct epoll_event, which x86-64 packs; what is asked for comes first everywhere
    const event = new Uint8Array(16);
    new DataView(event.buffer).setUint32(0, EPOLLIN, true);
    if (this.#epoll < 0 || epollCtl(this.#epoll, EPOLL_CTL_ADD, map.fd, event) < 0) {
      const error = errno();
      this.close();
      throw new BpfError(`waiting for ${what}`, error);
    }
  }

  /** Readable (poll, epoll) when there are records. */
  get epollFd(): number {
    return this.#epoll;
  }

  /**
   * Takes all records that are there, oldest first.
   * @param onRecord the bytes are the kernel's and only to be read, during the call: copy what is kept
   * @returns how many
   */
  consume(onRecord: (record: Buffer) => void): number {
    let count = 0;
    let position = Atomics.load(this.#consumer, 0);
    while (position < Atomics.load(this.#producer, 0)) {
      const at = Number(position % BigInt(this.#size));
      // atomic: what a program wrote before it said that it is finished is seen after this
      const header = Atomics.load(this.#words, at / 4);
      if ((header & BUSY) !== 0) break;
      const length = header & LENGTH;
      position += BigInt((HEADER_BYTES + length + 7) & ~7);
      try {
        if ((header & DISCARDED) === 0) {
          count++;
          onRecord(this.#bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length));
        }
      } finally {
        Atomics.store(this.#consumer, 0, position);
      }
    }
    return count;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#epoll >= 0) closeSync(this.#epoll);
  }
}
