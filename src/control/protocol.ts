/**
 * What travels over the control socket: lines of JSON. The server greets with {@link Hello}; then every request has an
 * id and gets, in order, one answer with that id, before which a long list comes in parts.
 *
 * ```
 *   server  {"directord":"0.1.0","protocol":1}
 *   client  {"id":1,"verb":{"verb":"delete-service","service":{"kind":"fwmark","mark":7,"family":"inet"}}}
 *   server  {"id":1,"error":{"code":"ESRCH","message":"no service fwm:7"}}
 *   client  {"id":2,"verbs":[{"verb":"flush"},{"verb":"stop-daemon","role":"master"}]}
 *   server  {"id":2,"ok":[{"at":1,"error":{"code":"ESRCH","message":"no master sync daemon is running"}}]}
 *   client  {"id":3,"query":"services"}
 *   server  {"id":3,"part":[{"id":{...},"settings":{...},"counters":[...],...}, ...]}
 *   server  {"id":3,"ok":null}
 * ```
 */
import type { ServiceId, SyncDaemon, Timeouts } from '../director/table.ts';
import type { RefusalCode, Verb } from '../director/verbs.ts';
import { refusalCodes } from '../director/verbs.ts';
import type { TableFill, TakeConnections } from '../engines/engine.ts';
import type { ServiceHealth } from '../observe/health.ts';
import type { ServiceListing } from '../observe/listing.ts';
import type { Statistics } from '../observe/statistics.ts';
import * as table from './read-table.ts';
import type { Reader } from './shape.ts';
import { array, integer, Malformed, object, oneOf, read, tagged, text } from './shape.ts';

export const protocolVersion = 1;

/** Bytes of the longest request; a client that sends a longer line is cut off. */
export const maxRequestBytes = 1 << 20;

/** Verbs in one request, so that it is not longer. */
export const maxVerbs = 500;

/** Bytes of the longest answer a client takes. */
export const maxAnswerBytes = 1 << 26;

/** What a director offers to those who come through the control socket. Only verbs change anything. */
export interface ControlBackend {
  /** @throws DirectorError when refused */
  apply(verb: Verb): void | Promise<void>;
  /** Applies one after the other, at most {@link maxVerbs}. @returns those that were refused */
  applyAll(verbs: readonly Verb[]): readonly Refusal[] | Promise<readonly Refusal[]>;
  /** Resolves when all that was applied is in force: the engine forwards accordingly. */
  settled(): Promise<void>;
  /** All services in the order they were added, or the one asked for; none when it does not exist. */
  list(service?: ServiceId): Promise<readonly ServiceListing[]>;
  /** Hands over all connections, some at a time: the next when `take` is done with the ones before. */
  connections(take: TakeConnections): Promise<void>;
  /** How full the engine's tables are, if they have a fixed size. */
  tables(): readonly TableFill[] | Promise<readonly TableFill[]>;
  /** Of all services together. */
  statistics(): Statistics | Promise<Statistics>;
  /** What the monitor knows; no services when there is none. */
  health(): Health | Promise<Health>;
  timeouts(): Timeouts | Promise<Timeouts>;
  /** Running sync daemons, master first. */
  syncDaemons(): readonly SyncDaemon[] | Promise<readonly SyncDaemon[]>;
}

export interface Health {
  /** The daemon's process, so that whoever asks knows that it is the one that was meant. */
  readonly pid: number;
  readonly services: readonly ServiceHealth[];
}

/** One of several verbs was refused. */
export interface Refusal {
  /** Its place among them, from 0. */
  readonly at: number;
  readonly error: { readonly code: RefusalCode; readonly message: string };
}

export interface Hello {
  /** Version of the program. */
  readonly directord: string;
  readonly protocol: number;
}

export type Query =
  | { readonly query: 'services'; readonly service?: ServiceId }
  | {
      readonly query:
        'settled' | 'connections' | 'tables' | 'statistics' | 'health' | 'timeouts' | 'sync-daemons';
    };

export type Request = { readonly id: number } & (
  { readonly verb: Verb } | { readonly verbs: readonly Verb[] } | Query
);

/** `EPROTO`: the message was not understood. `EIO`: the director failed. `EAGAIN`: it has too many clients. */
const errorCodes = [...refusalCodes, 'EPROTO', 'EIO', 'EAGAIN'] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface ControlFault {
  readonly code: ErrorCode;
  readonly message: string;
}

/** `id` is null when the request's own could not be read. */
export type Answer =
  | { readonly id: number; readonly part: readonly unknown[] }
  | { readonly id: number; readonly ok: unknown }
  | { readonly id: number | null; readonly error: ControlFault };

const id = integer(0, Number.MAX_SAFE_INTEGER);

const hello: Reader<Hello> = object({ directord: text(64), protocol: integer(0, 0xffff) });

const verbRequest = object({ id, verb: table.verb });

const verbsRequest = object({ id, verbs: array(table.verb) });

const plainQuery = object({
  id,
  query: oneOf('settled', 'connections', 'tables', 'statistics', 'health', 'timeouts', 'sync-daemons'),
});

const queryRequest = tagged('query', {
  services: object({ id, query: oneOf('services') }, { service: table.serviceId }),
  settled: plainQuery,
  connections: plainQuery,
  tables: plainQuery,
  statistics: plainQuery,
  health: plainQuery,
  timeouts: plainQuery,
  'sync-daemons': plainQuery,
});

const fault: Reader<ControlFault> = object({ code: oneOf(...errorCodes), message: text(10_000) });

/** Whoever asked knows what it asked for, and reads it. */
const anything: Reader<unknown> = (value) => value;

const errorAnswer = object({ id: (value: unknown) => (value === null ? null : id(value)), error: fault });
const partAnswer = object({ id, part: array(anything) });
const okAnswer = object({ id, ok: anything });

/** What became of several verbs: those that were refused, by their place. */
export const refusals: Reader<readonly Refusal[]> = array(
  object({
    at: integer(0, maxVerbs - 1),
    error: object({ code: oneOf(...refusalCodes), message: text(10_000) }),
  }),
);

/** @throws Malformed */
export function readRequest(line: string): Request {
  const value = parse(line);
  if (has(value, 'verb')) return read(verbRequest, value, 'request');
  return has(value, 'verbs') ? read(verbsRequest, value, 'request') : read(queryRequest, value, 'request');
}

/** The id of a request that could not be read otherwise. */
export function readRequestId(line: string): number | null {
  try {
    return object({ id })(parse(line)).id;
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}

/** @throws Malformed */
export function readHello(line: string): Hello {
  return read(hello, parse(line), 'hello');
}

/** @throws Malformed */
export function readAnswer(line: string): Answer {
  const value = parse(line);
  if (has(value, 'error')) {
    return read(errorAnswer, value, 'answer');
  }
  return has(value, 'part') ? read(partAnswer, value, 'answer') : read(okAnswer, value, 'answer');
}

function has(value: unknown, key: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new Malformed('not JSON', '', { cause: error });
  }
}
