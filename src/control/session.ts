/**
 * The server's side of one control connection. Requests are answered one after the other and reading pauses meanwhile,
 * so a client that sends fast or reads slowly makes only itself wait: at most one request and one part of an answer
 * are held for it.
 */
import type { Duplex } from 'node:stream';
import { DirectorError } from '../director/verbs.ts';
import type { Clock } from '../util/clock.ts';
import { LineTooLong, linesOf } from './lines.ts';
import type { Answer, ControlBackend, ControlFault, Hello, Request } from './protocol.ts';
import { healthRow } from './read-health.ts';
import { listingRow } from './listing-rows.ts';
import { maxRequestBytes, protocolVersion, readRequest, readRequestId } from './protocol.ts';
import { Malformed } from './shape.ts';

/** Items of a long list in one line. */
const partSize = 200;

/** A client that takes nothing of its answer for so long, in milliseconds, is cut off. */
const patience = 30_000;

export interface SessionContext {
  readonly backend: ControlBackend;
  readonly clock: Clock;
  /** Version of the program, for the hello. */
  readonly version: string;
  /** Something that an operator must know; the session went on or ended cleanly. */
  problem(message: string): void;
}

/** Speaks with one client until it leaves. Never rejects. */
export async function serve(stream: Duplex, context: SessionContext): Promise<void> {
  // What goes wrong with the stream comes out of reading and writing it below; without a listener it would throw here.
  stream.on('error', () => undefined);
  try {
    await new Session(stream, context).run();
  } catch (error) {
    // The client went away in the middle of something: its own affair. All else is ours to tell.
    if (!isDisconnect(error)) context.problem(`control connection: ${messageOf(error)}`);
  } finally {
    stream.destroy();
  }
}

/** Tells a client why it is not served, and lets it go. */
export function turnAway(stream: Duplex, fault: ControlFault): void {
  const answer: Answer = { id: null, error: fault };
  stream.on('error', () => undefined);
  stream.end(`${JSON.stringify(answer)}\n`, () => stream.destroy());
}

class Session {
  readonly #stream: Duplex;
  readonly #context: SessionContext;

  constructor(stream: Duplex, context: SessionContext) {
    this.#stream = stream;
    this.#context = context;
  }

  async run(): Promise<void> {
    await this.#send({ directord: this.#context.version, protocol: protocolVersion });
    try {
      const chunks = this.#stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
      for await (const line of linesOf(chunks, maxRequestBytes)) await this.#answer(line);
    } catch (error) {
      if (!(error instanceof LineTooLong)) throw error;
      await this.#send({ id: null, error: { code: 'EPROTO', message: error.message } });
    }
    this.#stream.end();
    if (!this.#stream.writableFinished) await this.#until('finish');
  }

  async #answer(line: string): Promise<void> {
    let id: number | null = null;
    try {
      const request = readRequest(line);
      id = request.id;
      await this.#send({ id, ok: await this.#execute(request) });
    } catch (error) {
      if (isDisconnect(error)) throw error;
      await this.#send({ id: id ?? readRequestId(line), error: this.#faultOf(error) });
    }
  }

  async #execute(request: Request): Promise<unknown> {
    const { backend } = this.#context;
    if ('verb' in request) {
      await backend.apply(request.verb);
      return null;
    }
    if ('verbs' in request) return await backend.applyAll(request.verbs);
    switch (request.query) {
      case 'services':
        await this.#sendParts(request.id, await backend.list(request.service), listingRow);
        return null;
      case 'settled':
        await backend.settled();
        return null;
      case 'connections':
        await backend.connections((part) => this.#sendParts(request.id, part, (entry) => entry));
        return null;
      case 'tables':
        return await backend.tables();
      case 'statistics':
        return await backend.statistics();
      case 'health': {
        const { pid, services } = await backend.health();
        await this.#sendParts(request.id, services, healthRow);
        return { pid };
      }
      case 'timeouts':
        return await backend.timeouts();
      case 'sync-daemons':
        return await backend.syncDaemons();
    }
  }

  async #sendParts<Item>(id: number, items: readonly Item[], rowOf: (item: Item) => unknown): Promise<void> {
    for (let at = 0; at < items.length; at += partSize) {
      await this.#send({ id, part: items.slice(at, at + partSize).map(rowOf) });
    }
  }

  /** Resolves when the client has taken enough for more to be sent. */
  async #send(message: Hello | Answer): Promise<void> {
    if (this.#stream.destroyed) throw new Disconnected();
    if (!this.#stream.write(`${JSON.stringify(message)}\n`)) await this.#until('drain');
  }

  async #until(event: 'drain' | 'finish'): Promise<void> {
    const timer = this.#context.clock.after(patience, () => this.#stream.destroy());
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        this.#stream.off(event, settle).off('close', settle);
        resolve();
      };
      this.#stream.on(event, settle).on('close', settle);
    });
    timer.cancel();
    if (this.#stream.destroyed) throw new Disconnected();
  }

  #faultOf(error: unknown): ControlFault {
    if (error instanceof DirectorError) return { code: error.code, message: error.message };
    if (error instanceof Malformed) return { code: 'EPROTO', message: error.message };
    this.#context.problem(`control request failed: ${messageOf(error)}`);
    return { code: 'EIO', message: messageOf(error) };
  }
}

class Disconnected extends Error {
  override readonly name = 'Disconnected';
}

const disconnectCodes: ReadonlySet<unknown> = new Set([
  'ECONNRESET',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_DESTROYED',
]);

function isDisconnect(error: unknown): boolean {
  return (
    error instanceof Disconnected ||
    (error instanceof Error && 'code' in error && disconnectCodes.has(error.code))
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
