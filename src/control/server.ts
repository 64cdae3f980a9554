/**
 * The control socket: a unix socket that only its owner can open. It serves {@link ControlBackend} to directoradm, and
 * never takes a socket away from another directord that still answers on it.
 */
import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { dirname } from 'node:path';
import { maxSocketPath } from './socket-path.ts';
import type { SessionContext } from './session.ts';
import { serve, turnAway } from './session.ts';

export interface ControlServerOptions extends SessionContext {
  /** Path of the socket; see `controlSocketPath`. */
  readonly socket: string;
  /** Clients at the same time; 64 if not given. */
  readonly maxClients?: number;
}

/** The socket cannot be served; the message names it and says what to do. */
export class ControlSocketError extends Error {
  override readonly name = 'ControlSocketError';
}

export class ControlServer {
  readonly socket: string;
  readonly #context: SessionContext;
  readonly #maxClients: number;
  readonly #clients = new Set<Socket>();
  readonly #server: Server;

  constructor(options: ControlServerOptions) {
    this.socket = options.socket;
    this.#context = options;
    this.#maxClients = options.maxClients ?? 64;
    // Half open, so that `printf ... | socat - UNIX:...` gets its answers after its end of input.
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      this.#welcome(client);
    });
  }

  /** @throws ControlSocketError */
  async start(): Promise<void> {
    if (Buffer.byteLength(this.socket) > maxSocketPath) {
      throw new ControlSocketError(
        `control socket ${this.socket}: the path of a socket has at most ${maxSocketPath} bytes; name a shorter one with --control`,
      );
    }
    await prepareDirectory(dirname(this.socket));
    try {
      await this.#listen();
    } catch (error) {
      if (!hasCode(error, 'EADDRINUSE')) throw this.#failure(error);
      await this.#removeStale();
      await this.#listen().catch((again: unknown) => {
        throw this.#failure(again);
      });
    }
    this.#server.on('error', (error) => {
      this.#context.problem(`control socket ${this.socket}: ${error.message}`);
    });
    await chmod(this.socket, 0o600);
  }

  /** Disconnects everybody and removes the socket. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    for (const client of this.#clients) client.destroy();
    await closed;
  }

  #welcome(client: Socket): void {
    if (this.#clients.size >= this.#maxClients) {
      turnAway(client, { code: 'EAGAIN', message: `${this.#maxClients} clients are connected already` });
      return;
    }
    this.#clients.add(client);
    client.once('close', () => this.#clients.delete(client));
    void serve(client, this.#context);
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      // The bind happens within this call, so that nobody can connect before the mode is right.
      const mask = process.umask(0o177);
      try {
        this.#server.listen(this.socket, () => {
          this.#server.off('error', reject);
          resolve();
        });
      } finally {
        process.umask(mask);
      }
    });
  }

  async #removeStale(): Promise<void> {
    if (!(await lstat(this.socket)).isSocket()) {
      throw new ControlSocketError(
        `control socket ${this.socket}: there is a file that is not a socket; remove it, or name another with --control`,
      );
    }
    if (await answers(this.socket)) {
      throw new ControlSocketError(
        `control socket ${this.socket}: another directord answers there; stop it first, or give this one a socket of its own with --control`,
      );
    }
    await unlink(this.socket);
  }

  #failure(error: unknown): ControlSocketError {
    const reason = error instanceof Error ? error.message : String(error);
    return new ControlSocketError(`control socket ${this.socket}: ${reason}`, { cause: error });
  }
}

/** Root's directory may be seen by all, anybody else's only by its owner, who must be us (`/tmp` is everybody's). */
async function prepareDirectory(directory: string): Promise<void> {
  const uid = process.getuid?.() ?? 0;
  try {
    await mkdir(directory, { recursive: true, mode: uid === 0 ? 0o755 : 0o700 });
    const found = await lstat(directory);
    if (directory.startsWith('/tmp/directord-') && (found.uid !== uid || !found.isDirectory())) {
      throw new Error('the directory belongs to somebody else');
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ControlSocketError(`control socket directory ${directory}: ${reason}`, { cause: error });
  }
}

/** Whether somebody accepts connections there. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => {
      // Anything but a refusal (a full backlog, no permission) may hide a living directord.
      resolve(!hasCode(error, 'ECONNREFUSED') && !hasCode(error, 'ENOENT'));
    });
  });
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
