/**
 * What a read-only file system replies to the kernel's requests (linux/fuse.h): bytes written, nothing else. A reply is a
 * header, and a body that depends on the request.
 */
import type { Revision } from './protocol.ts';

const outHeaderBytes = 16;
const major = 7;
/** The newest revision whose messages are laid out as here; an older kernel's is used as it offers it. */
const newestMinor = 31;
/** FUSE_MAX_PAGES: `max_pages` of the answer counts. */
const FUSE_MAX_PAGES = 1 << 22;
const pageBytes = 4096;
/** The least that the kernel accepts; nobody writes here. */
const maxWrite = 4096;
/** FOPEN_DIRECT_IO: no page cache, and a size of 0 does not mean that there is nothing to read. */
const FOPEN_DIRECT_IO = 1;
const blockBytes = 4096;
/** Seconds for which the kernel need not ask for a name again; names never change. */
const nameLifetime = 3600n;
/** DT_DIR and DT_REG of readdir(3), which are also the type bits of a mode, shifted. */
const typeShift = 12;

/** @param error an error number */
export function failure(unique: bigint, error: number): Buffer {
  const reply = success(unique);
  reply.writeInt32LE(-error, 4);
  return reply;
}

export function success(unique: bigint, body: Uint8Array = new Uint8Array()): Buffer {
  const reply = Buffer.alloc(outHeaderBytes + body.length);
  reply.writeUInt32LE(reply.length, 0);
  reply.writeBigUInt64LE(unique, 8);
  reply.set(body, outHeaderBytes);
  return reply;
}

/**
 * What to answer to the kernel's first message; one that is too new will ask again with what we know.
 * @param largestRead bytes of the longest read that it shall ask for
 * @returns undefined for a kernel that is too old
 */
export function initBody(kernel: Revision, largestRead: number): Buffer | undefined {
  if (kernel.major < major) return undefined;
  const body = Buffer.alloc(64);
  body.writeUInt32LE(major, 0);
  body.writeUInt32LE(kernel.major > major ? newestMinor : Math.min(kernel.minor, newestMinor), 4);
  body.writeUInt32LE(FUSE_MAX_PAGES, 12);
  body.writeUInt32LE(maxWrite, 20);
  body.writeUInt32LE(1, 24);
  body.writeUInt16LE(largestRead / pageBytes, 28);
  return body;
}

export interface Attributes {
  readonly node: number;
  /** Type and permissions, as in stat(2). */
  readonly mode: number;
  readonly links: number;
  /** Of all its times, in seconds since 1970. */
  readonly time: number;
}

/** Attributes are asked for each time (they live 0 s), so that what looks at a dead mount is told. */
export function attributesBody(attributes: Attributes): Buffer {
  const body = Buffer.alloc(16 + 88);
  writeAttributes(body, 16, attributes);
  return body;
}

export function entryBody(attributes: Attributes): Buffer {
  const body = Buffer.alloc(40 + 88);
  body.writeBigUInt64LE(BigInt(attributes.node), 0);
  body.writeBigUInt64LE(nameLifetime, 16);
  writeAttributes(body, 40, attributes);
  return body;
}

function writeAttributes(body: Buffer, at: number, { node, mode, links, time }: Attributes): void {
  body.writeBigUInt64LE(BigInt(node), at);
  for (const offset of [24, 32, 40]) body.writeBigUInt64LE(BigInt(time), at + offset);
  body.writeUInt32LE(mode, at + 60);
  body.writeUInt32LE(links, at + 64);
  body.writeUInt32LE(blockBytes, at + 80);
}

export function openBody(handle: number): Buffer {
  const body = Buffer.alloc(16);
  body.writeBigUInt64LE(BigInt(handle), 0);
  body.writeUInt32LE(FOPEN_DIRECT_IO, 8);
  return body;
}

/** A file system of no size, like /proc. */
export function statfsBody(): Buffer {
  const body = Buffer.alloc(80);
  body.writeUInt32LE(blockBytes, 40);
  body.writeUInt32LE(255, 44);
  body.writeUInt32LE(blockBytes, 48);
  return body;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly node: number;
  readonly mode: number;
}

/** As many of the entries as fit, from the one with this number on. */
export function directoryBody(entries: readonly DirectoryEntry[], offset: number, size: number): Buffer {
  const parts: Buffer[] = [];
  let room = size;
  for (const [index, { name, node, mode }] of entries.entries()) {
    if (index < offset) continue;
    const text = Buffer.from(name);
    const part = Buffer.alloc(24 + Math.ceil(text.length / 8) * 8);
    if (part.length > room) break;
    room -= part.length;
    part.writeBigUInt64LE(BigInt(node), 0);
    part.writeBigUInt64LE(BigInt(index + 1), 8);
    part.writeUInt32LE(text.length, 16);
    part.writeUInt32LE(mode >> typeShift, 20);
    part.set(text, 24);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
