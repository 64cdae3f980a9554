/**
 * The client's side of the control socket. It is a {@link ControlBackend} itself: what can be asked of a director in
 * this process can be asked of one behind the socket, with the same refusals.
 */
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ServiceId, SyncDaemon, Timeouts } from '../director/table.ts';
import type { RefusalCode, Verb } from '../director/verbs.ts';
import { DirectorError, refusalCodes } from '../director/verbs.ts';
import type { TableFill, TakeConnections } from '../engines/engine.ts';
import type { ServiceHealth } from '../observe/health.ts';
import type { ServiceListing } from '../observe/listing.ts';
import type { Statistics } from '../observe/statistics.ts';
import { linesOf } from './lines.ts';
import type { Answer, ControlBackend, ControlFault, ErrorCode, Health, Query, Refusal } from './protocol.ts';
import { maxAnswerBytes, protocolVersion, readAnswer, readHello, refusals } from './protocol.ts';
import { serviceListing } from './listing-rows.ts';
import { serviceHealth, teller } from './read-health.ts';
import { connectionEntry, statistics, tableFill } from './read-listing.ts';
import * as table from './read-table.ts';
import { array, Malformed, read } from './shape.ts';
import { maxSocketPath } from './socket-path.ts';
import { ControlUnavailable } from './unavailable.ts';

const listings = array(serviceListing);
const entries = array(connectionEntry);
const healths = array(serviceHealth);
const fills = array(tableFill);
const daemons = array(table.syncDaemon);

/** What a request has besides its id. */
type Body = { readonly verb: Verb } | { readonly verbs: readonly Verb[] } | Query;

interface Pending {
  /** Reads no more answers until it resolves. */
  take(part: readonly unknown[]): void | Promise<void>;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class ControlClient implements ControlBackend {
  /** Version of the directord at the other end. */
  readonly version: string;
  readonly #stream: Duplex;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #ended: ControlUnavailable | undefined;

  private constructor(stream: Duplex, version: string, answers: AsyncIterable<string>) {
    this.#stream = stream;
    this.version = version;
    void this.#receive(answers);
  }

  /** @throws ControlUnavailable */
  static async connect(socket: string): Promise<ControlClient> {
    return ControlClient.over(await open(socket));
  }

  /** Speaks over a stream that is open already. @throws ControlUnavailable */
  static async over(stream: Duplex): Promise<ControlClient> {
    stream.on('error', () => undefined);
    const lines = linesOf(stream as AsyncIterable<Uint8Array>, maxAnswerBytes);
    try {
      const first = await lines.next();
      if (first.done === true) throw new ControlUnavailable('broken', 'directord closed the connection');
      return new ControlClient(stream, greeted(first.value), lines);
    } catch (error) {
      stream.destroy();
      throw unavailable(error);
    }
  }

  async apply(verb: Verb): Promise<void> {
    await this.#request({ verb });
  }

  async applyAll(verbs: readonly Verb[]): Promise<readonly Refusal[]> {
    return read(refusals, await this.#request({ verbs }), 'refusals');
  }

  async settled(): Promise<void> {
    await this.#request({ query: 'settled' });
  }

  async list(service?: ServiceId): Promise<readonly ServiceListing[]> {
    const query: Query = service === undefined ? { query: 'services' } : { query: 'services', service };
    const services: ServiceListing[] = [];
    await this.#request(query, (part) => {
      for (const listing of read(listings, part, 'services')) services.push(listing);
    });
    return services;
  }

  async connections(take: TakeConnections): Promise<void> {
    await this.#request({ query: 'connections' }, (part) => take(read(entries, part, 'connections')));
  }

  async tables(): Promise<readonly TableFill[]> {
    return read(fills, await this.#request({ query: 'tables' }), 'tables');
  }

  async statistics(): Promise<Statistics> {
    return read(statistics, await this.#request({ query: 'statistics' }), 'statistics');
  }

  async health(): Promise<Health> {
    const services: ServiceHealth[] = [];
    const answer = await this.#request({ query: 'health' }, (part) => {
      services.push(...read(healths, part, 'health'));
    });
    return { pid: read(teller, answer, 'health').pid, services };
  }

  async timeouts(): Promise<Timeouts> {
    return read(table.timeouts, await this.#request({ query: 'timeouts' }), 'timeouts');
  }

  async syncDaemons(): Promise<readonly SyncDaemon[]> {
    return read(daemons, await this.#request({ query: 'sync-daemons' }), 'sync-daemons');
  }

  close(): void {
    this.#stream.destroy();
  }

  #request(body: Body, take: Pending['take'] = () => undefined): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      const id = ++this.#lastId;
      this.#pending.set(id, { take, resolve, reject });
      this.#stream.write(`${JSON.stringify({ id, ...body })}\n`);
    });
  }

  async #receive(lines: AsyncIterable<string>): Promise<void> {
    try {
      for await (const line of lines) await this.#take(readAnswer(line));
      this.#end(new ControlUnavailable('broken', 'directord closed the connection'));
    } catch (error) {
      this.#end(unavailable(error));
      this.#stream.destroy();
    }
  }

  async #take(answer: Answer): Promise<void> {
    const pending = answer.id === null ? undefined : this.#pending.get(answer.id);
    if (answer.id === null || pending === undefined) {
      throw new ControlUnavailable(
        'broken',
        'error' in answer ? answer.error.message : 'an answer to nothing',
      );
    }
    if ('part' in answer) {
      await pending.take(answer.part);
      return;
    }
    this.#pending.delete(answer.id);
    if ('error' in answer) pending.reject(errorOf(answer.error));
    else pending.resolve(answer.ok);
  }

  #end(error: ControlUnavailable): void {
    this.#ended = error;
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }
}

function open(socket: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    if (Buffer.byteLength(socket) > maxSocketPath) {
      reject(new ControlUnavailable('absent', `no socket can be ${socket}: its path is too long`));
      return;
    }
    const stream = connect(socket);
    stream.once('connect', () => {
      resolve(stream);
    });
    stream.once('error', (error) => {
      const denied = 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM');
      reject(
        denied
          ? new ControlUnavailable('denied', `no permission for ${socket}`, { cause: error })
          : new ControlUnavailable('absent', `no directord answers on ${socket}`, { cause: error }),
      );
    });
  });
}

/** Version of the program that greets. */
function greeted(line: string): string {
  if (line.includes('"error"')) {
    const answer = readAnswer(line);
    if ('error' in answer) throw new ControlUnavailable('busy', answer.error.message);
  }
  const hello = readHello(line);
  if (hello.protocol !== protocolVersion) {
    throw new ControlUnavailable(
      'broken',
      `directord ${hello.directord} speaks control protocol ${hello.protocol}, not ${protocolVersion}`,
    );
  }
  return hello.directord;
}

function errorOf({ code, message }: ControlFault): Error {
  return isRefusal(code) ? new DirectorError(code, message) : new ControlUnavailable('broken', message);
}

function isRefusal(code: ErrorCode): code is RefusalCode {
  return refusalCodes.some((refusal) => refusal === code);
}

function unavailable(error: unknown): ControlUnavailable {
  if (error instanceof ControlUnavailable) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const message = error instanceof Malformed ? `not understood: ${reason}` : reason;
  return new ControlUnavailable('broken', message, { cause: error });
}
