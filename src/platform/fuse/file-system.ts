/** What the mounted files answer to the kernel's requests: messages in, messages out. */
import type { TextFile } from '../text-files.ts';
import { OpenFile } from './open-file.ts';
import * as fuse from './protocol.ts';
import { Opcode } from './protocol.ts';
import * as replies from './replies.ts';
import { mostUnread } from './text-stream.ts';
import type { Node } from './tree.ts';
import { buildTree } from './tree.ts';

/** Of all files together; everybody on this host may open them. */
const mostOpen = 64;

export interface FileSystemParts {
  readonly files: readonly TextFile[];
  /** Of the files, in seconds since 1970. */
  readonly time: number;
  /** Sends a reply to the kernel. */
  readonly reply: (message: Buffer) => void;
  /** A text could not be written; for people. */
  readonly problem: (message: string) => void;
}

export class FileSystem {
  readonly #parts: FileSystemParts;
  readonly #nodes: ReadonlyMap<number, Node>;
  readonly #open = new Map<number, OpenFile>();
  #lastHandle = 0;

  constructor(parts: FileSystemParts) {
    this.#parts = parts;
    this.#nodes = buildTree(parts.files);
  }

  /** Takes one message of the kernel's; the reply may come later. */
  take(message: Buffer): void {
    const request = fuse.readRequest(message);
    const { unique, body } = request;
    switch (request.opcode) {
      case Opcode.read:
        this.#read(unique, fuse.readRead(body));
        return;
      case Opcode.interrupt:
        this.#interrupt(fuse.readInterrupted(body));
        return;
      case Opcode.forget:
      case Opcode.batchForget:
        // Nodes live as long as the mount; there is nothing to forget, and no reply.
        return;
      default: {
        const result = this.#answer(request);
        this.#reply(unique, result);
      }
    }
  }

  /** Ends all texts that are being written. */
  close(): void {
    for (const file of this.#open.values()) file.close();
    this.#open.clear();
  }

  /** @returns the body of a reply, or an error number */
  #answer({ opcode, node: number, body }: fuse.Request): Buffer | number {
    const node = this.#nodes.get(number);
    switch (opcode) {
      case Opcode.init:
        return replies.initBody(fuse.readInit(body), mostUnread) ?? fuse.EPROTO;
      case Opcode.statfs:
        return replies.statfsBody();
      case Opcode.release:
        this.#release(fuse.readHandle(body));
        return nothing;
      case Opcode.opendir:
        return replies.openBody(0);
      case Opcode.flush:
      case Opcode.releasedir:
      case Opcode.destroy:
        return nothing;
      case Opcode.lookup:
        return this.#lookup(node, fuse.readName(body));
      case Opcode.getattr:
        return node === undefined ? fuse.ENOENT : replies.attributesBody(node.attributes(this.#parts.time));
      case Opcode.readdir:
        return this.#list(node, fuse.readRead(body));
      case Opcode.open:
        return this.#openFile(node);
      default:
        return fuse.ENOSYS;
    }
  }

  #lookup(folder: Node | undefined, name: string): Buffer | number {
    const found = folder?.child(name);
    return found === undefined ? fuse.ENOENT : replies.entryBody(found.attributes(this.#parts.time));
  }

  #list(folder: Node | undefined, { offset, size }: fuse.ReadRequest): Buffer | number {
    if (folder === undefined) return fuse.ENOENT;
    return folder.file === undefined ? replies.directoryBody(folder.entries(), offset, size) : fuse.ENOTDIR;
  }

  #openFile(node: Node | undefined): Buffer | number {
    if (node === undefined) return fuse.ENOENT;
    const { file } = node;
    if (file === undefined) return fuse.EISDIR;
    if (this.#open.size >= mostOpen) return fuse.ENFILE;
    this.#lastHandle += 1;
    const answer = this.#reply.bind(this);
    this.#open.set(this.#lastHandle, new OpenFile({ file, answer, problem: this.#parts.problem }));
    return replies.openBody(this.#lastHandle);
  }

  #read(unique: bigint, { handle, offset, size }: fuse.ReadRequest): void {
    const file = this.#open.get(handle);
    if (file === undefined) this.#reply(unique, fuse.EIO);
    else file.read({ unique, offset, size });
  }

  /** Without a reply of its own; what it is about may have been answered meanwhile. */
  #interrupt(unique: bigint): void {
    for (const file of this.#open.values()) if (file.interrupt(unique)) return;
  }

  #release(handle: number): void {
    this.#open.get(handle)?.close();
    this.#open.delete(handle);
  }

  #reply(unique: bigint, result: Buffer | number): void {
    this.#parts.reply(
      typeof result === 'number' ? replies.failure(unique, result) : replies.success(unique, result),
    );
  }
}

const nothing = Buffer.alloc(0);
