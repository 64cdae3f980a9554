/**
 * What the lines of a file say, before defaults, inheritance and name resolution: every field is absent until a line
 * sets it, and a repeated directive overwrites.
 */
import type { Forwarding } from '../director/table.ts';
import type { CheckService, CheckSettings, CheckType, EmailState, FlapDamping, Position } from './model.ts';

/** `fallback=` as written; the address is resolved when the protocol of the section is known. */
export interface FallbackDraft {
  readonly at: Position;
  /** Empty: this host itself. */
  readonly host: string;
  readonly port: string | undefined;
  readonly forwarding: Forwarding;
}

/** What may stand globally and in a section. */
export interface CommonDraft {
  checktimeout?: number;
  negotiatetimeout?: number;
  checkinterval?: number;
  checkcount?: number;
  failurecount?: number;
  quiescent?: boolean;
  cleanstop?: boolean;
  emailalert?: string;
  emailalertfreq?: number;
  emailalertstatus?: ReadonlySet<EmailState>;
  smtp?: string;
  fallbackcommand?: string;
  fallback?: FallbackDraft;
  fallback6?: FallbackDraft;
  proxyprotocol?: 'no' | 'v1' | 'v2';
  flapdamping?: FlapDamping | 'no';
}

export interface GlobalDraft extends CommonDraft {
  autoreload?: boolean;
  callback?: string;
  logfile?: string;
  execute: Set<string>;
  fork?: boolean;
  supervised?: boolean;
  readdquiescent?: boolean;
  emailalertfrom?: string;
  maintenancedir?: string;
}

/** A value that is looked at again once the whole section is known. */
export interface Written {
  readonly text: string;
  readonly at: Position;
  /** Position of the character at this index of the text. */
  readonly atIndex: (index: number) => Position;
}

export interface VirtualDraft extends CommonDraft {
  reals: Written[];
  checktype?: { readonly type: CheckType; readonly connects: number };
  service?: CheckService;
  checkcommand?: string;
  checkport?: number;
  request?: string;
  receive?: Written & { readonly pattern: RegExp };
  httpmethod?: 'GET' | 'HEAD';
  virtualhost?: string;
  login?: string;
  passwd?: string;
  database?: string;
  secret?: string;
  load?: string;
  scheduler?: string;
  persistent?: number;
  netmask?: number;
  schedflags?: Written;
  protocol?: 'tcp' | 'udp' | 'fwm';
  ops?: boolean;
  monitorfile?: string;
  servicename?: string;
  comment?: string;
  tlsverify?: CheckSettings['tlsverify'];
}
