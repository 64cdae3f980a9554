/**
 * The verbs of the director: what ipvsadm can do to the table, as data. One vocabulary for all: the monitor and the
 * control socket say them, the director checks and applies them, and an engine receives each one that was applied.
 */
import type {
  DestinationId,
  DestinationSettings,
  ServiceId,
  ServiceSettings,
  SyncDaemon,
  SyncRole,
  Timeouts,
  VirtualService,
} from './table.ts';

export type Verb =
  | { readonly verb: 'add-service'; readonly service: ServiceId; readonly settings: ServiceSettings }
  | { readonly verb: 'edit-service'; readonly service: ServiceId; readonly settings: ServiceSettings }
  | { readonly verb: 'delete-service'; readonly service: ServiceId }
  | {
      readonly verb: 'add-destination';
      readonly service: ServiceId;
      readonly destination: DestinationId;
      readonly settings: DestinationSettings;
    }
  | {
      readonly verb: 'edit-destination';
      readonly service: ServiceId;
      readonly destination: DestinationId;
      readonly settings: DestinationSettings;
    }
  | { readonly verb: 'delete-destination'; readonly service: ServiceId; readonly destination: DestinationId }
  | { readonly verb: 'flush' }
  /** Counters of one service, or of all, to zero. */
  | { readonly verb: 'zero'; readonly service?: ServiceId }
  /** In seconds; 0 keeps the present value. */
  | { readonly verb: 'set-timeouts'; readonly timeouts: Timeouts }
  /** A `maxLength` of 0 takes what the interface's MTU allows. */
  | { readonly verb: 'start-daemon'; readonly daemon: SyncDaemon }
  | { readonly verb: 'stop-daemon'; readonly role: SyncRole };

export const refusalCodes = [
  'EEXIST',
  'ENOENT',
  'ESRCH',
  'EINVAL',
  'ERANGE',
  'ENODEV',
  'EAFNOSUPPORT',
  'EOPNOTSUPP',
] as const;

/** Why a verb was refused: the error number that the kernel would give ipvsadm. */
export type RefusalCode = (typeof refusalCodes)[number];

/** The director refused a verb; the table is as it was. `message` says so in words for a log. */
export class DirectorError extends Error {
  override readonly name = 'DirectorError';
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** What a client of the director may do. `by` names the client in the log: `monitor`, `control`. */
export interface DirectorVerbs {
  /** Checks and applies. @throws DirectorError when the kernel would have refused. */
  apply(verb: Verb, by: string): void;
  find(service: ServiceId): VirtualService | undefined;
  /** In the order they were added. */
  services(): readonly VirtualService[];
  timeouts(): Timeouts;
}
