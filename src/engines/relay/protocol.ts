/** What the relay's forwarder process and its threads say to each other. Structured-clone messages. */
import type { Timeouts } from '../../director/table.ts';
import type { Address } from '../../util/ip.ts';
import type { PersistentService } from '../../connections/persistence.ts';
import type { PoolSize } from '../../scheduling/pool.ts';
import type { ConnectionEntry } from '../engine.ts';

/** What a thread must know of a service to listen for it. */
export interface ListenerSpec {
  /** Pool slot of the service. */
  readonly service: number;
  readonly protocol: 'tcp' | 'udp';
  readonly address: Address;
  readonly port: number;
  readonly proxyProtocol: 'none' | 'v1' | 'v2';
  /** Set for a persistent service; one thread has all of it, since templates belong to a thread. */
  readonly persistent: PersistentService | undefined;
}

/** Forwarder to thread. */
export type ToThread =
  | { readonly type: 'listen'; readonly spec: ListenerSpec }
  | { readonly type: 'unlisten'; readonly service: number }
  /** A destination left the table (its connections' client side is held) or came back. */
  | { readonly type: 'hold'; readonly destination: number; readonly held: boolean }
  | { readonly type: 'timeouts'; readonly timeouts: Timeouts }
  | { readonly type: 'settle' | 'connections' | 'stop'; readonly id: number };

/** Thread to forwarder. */
export type FromThread =
  | { readonly type: 'ready' }
  | { readonly type: 'listening'; readonly service: number }
  | { readonly type: 'not-listening'; readonly service: number; readonly error: string }
  | { readonly type: 'attempt-failed'; readonly destination: number; readonly error: string }
  | { readonly type: 'problem'; readonly message: string }
  | { readonly type: 'settled'; readonly id: number }
  | { readonly type: 'connections'; readonly id: number; readonly connections: readonly ConnectionEntry[] }
  | { readonly type: 'stopped'; readonly id: number; readonly closed: number };

/** What a thread is born with. */
export interface ThreadData {
  readonly pool: SharedArrayBuffer;
  readonly size: PoolSize;
  readonly tallies: SharedArrayBuffer;
  /** eventfd that is written after each message, since the thread does not live on Node's loop. */
  readonly wake: number;
}
