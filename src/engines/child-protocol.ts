/** What the daemon's side of an engine and its forwarding process say to each other. Structured-clone messages. */
import type { Verb } from '../director/verbs.ts';
import type { ConnectionEntry } from './engine.ts';
import type { PackedReport } from './packed-report.ts';

/** `settle` is answered when every verb before it is in force. */
export type Request = 'settle' | 'report' | 'connections' | 'stop';

/** A long table is listed in parts, between which packets are forwarded. */
export interface ConnectionPart {
  readonly connections: readonly ConnectionEntry[];
  /** Where the next part begins; the last one has none. */
  readonly next?: number;
}

/** Daemon to forwarder. */
export type ToForwarder =
  | { readonly type: 'verbs'; readonly verbs: readonly Verb[] }
  | {
      readonly type: 'request';
      readonly id: number;
      readonly request: Request;
      /** Of `connections`: where the part that is asked for begins, as the part before it said. */
      readonly from?: number;
    };

/** Forwarder to daemon. */
export type FromForwarder =
  | { readonly type: 'ready' }
  /** Instead of `ready`: why it cannot forward on this host, in words for people. It then ends. */
  | { readonly type: 'unable'; readonly message: string }
  | { readonly type: 'problem'; readonly message: string }
  | { readonly type: 'info'; readonly message: string }
  | { readonly type: 'settled'; readonly id: number }
  | { readonly type: 'report'; readonly id: number; readonly report: PackedReport }
  | ({ readonly type: 'connections'; readonly id: number } & ConnectionPart)
  | { readonly type: 'stopped'; readonly id: number; readonly closed: number };
