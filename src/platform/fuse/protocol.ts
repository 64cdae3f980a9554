/**
 * The requests of the kernel's FUSE protocol (linux/fuse.h), as far as a read-only file system needs them: bytes read,
 * nothing else; replies.ts writes the answers. Numbers are in the machine's own order, little-endian on x86-64 and arm64.
 */

export const Opcode = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  open: 14,
  read: 15,
  statfs: 17,
  release: 18,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
} as const;

/** Error numbers that replies tell. */
export const ENOENT = 2;
export const EINTR = 4;
export const EIO = 5;
export const ENOTDIR = 20;
export const EISDIR = 21;
export const ENFILE = 23;
export const ENOSYS = 38;
export const EPROTO = 71;

const inHeaderBytes = 40;
/** Room for any request that can come. */
export const requestBytes = 65536;

export interface Request {
  readonly opcode: number;
  /** Names the request in its reply and in an interrupt. */
  readonly unique: bigint;
  /** Which file or directory; 1 is the root. */
  readonly node: number;
  /** What follows the header; the buffer it came in is used again. */
  readonly body: Buffer;
}

/** @throws Error when the bytes are no request */
export function readRequest(message: Buffer): Request {
  if (message.length < inHeaderBytes || message.readUInt32LE(0) !== message.length)
    throw new Error(`fuse: a message of ${message.length} bytes is no request`);
  return {
    opcode: message.readUInt32LE(4),
    unique: message.readBigUInt64LE(8),
    node: Number(message.readBigUInt64LE(16)),
    body: message.subarray(inHeaderBytes),
  };
}

export interface Revision {
  readonly major: number;
  readonly minor: number;
}

export function readInit(body: Buffer): Revision {
  return { major: body.readUInt32LE(0), minor: body.readUInt32LE(4) };
}

/** The name that a lookup asks for. */
export function readName(body: Buffer): string {
  const end = body.indexOf(0);
  return body.toString('utf8', 0, end < 0 ? body.length : end);
}

export interface ReadRequest {
  /** As the open that it belongs to was answered. */
  readonly handle: number;
  readonly offset: number;
  readonly size: number;
}

/** Of a read, and of a readdir. */
export function readRead(body: Buffer): ReadRequest {
  return {
    handle: Number(body.readBigUInt64LE(0)),
    offset: Number(body.readBigUInt64LE(8)),
    size: body.readUInt32LE(16),
  };
}

/** Of a release. */
export function readHandle(body: Buffer): number {
  return Number(body.readBigUInt64LE(0));
}

/** The request that an interrupt is about. */
export function readInterrupted(body: Buffer): bigint {
  return body.readBigUInt64LE(0);
}
