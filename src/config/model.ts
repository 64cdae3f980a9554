/**
 * What a configuration file means once it is read, checked and resolved: complete, with every default and inheritance
 * applied, so that nobody after the parser has to know how ldirectord.cf is written.
 */
import type { AddressService, FwmarkService, Forwarding, ServiceSettings } from '../director/table.ts';
import type { Address } from '../util/ip.ts';

/** Where in the file something stands; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly file: string;
  /** Absent when the problem is not at one place. */
  readonly at?: Position;
  /** ldirectord's own words where it has some: `invalid check timeout value`. */
  readonly message: string;
  /** What would have been right: `a whole number of seconds, 1 or more`. */
  readonly expected?: string;
}

export type EmailState = 'starting' | 'running' | 'stopping' | 'reloading';

export interface EmailAlert {
  readonly to: string;
  /** Seconds between repeats; 0 sends none. */
  readonly frequency: number;
  readonly states: ReadonlySet<EmailState>;
  readonly smtp?: string;
}

/** A server whose state changes so often within so many seconds stays out until it has been well for as long. */
export interface FlapDamping {
  readonly changes: number;
  readonly seconds: number;
}

export interface Configuration {
  /** Path as resolved. */
  readonly file: string;
  readonly global: GlobalSettings;
  readonly virtuals: readonly Virtual[];
}

export interface GlobalSettings {
  /** Seconds of pause after a check. */
  readonly checkinterval: number;
  readonly checkcount: number;
  readonly failurecount: number;
  readonly flapdamping: FlapDamping | undefined;
  /** As written, undefined when not given; the effective ones are in {@link CheckSettings}. */
  readonly checktimeout: number | undefined;
  readonly negotiatetimeout: number | undefined;
  readonly autoreload: boolean;
  readonly callback: string | undefined;
  /** A path starting with `/`, or a syslog facility. */
  readonly logfile: string;
  readonly execute: readonly string[];
  readonly fork: boolean;
  readonly supervised: boolean;
  readonly quiescent: boolean;
  readonly readdquiescent: boolean;
  readonly cleanstop: boolean;
  readonly emailalert: EmailAlert;
  readonly emailalertfrom: string | undefined;
  readonly maintenancedir: string | undefined;
  readonly fallback: Fallback | undefined;
  readonly fallback6: Fallback | undefined;
  readonly fallbackcommand: string | undefined;
}

export interface Virtual {
  readonly at: Position;
  readonly service: AddressService | FwmarkService;
  /** `tcp:10.1.0.100:80`, `fwm:7`: how log lines about soft failures name it. */
  readonly id: string;
  /** `10.1.0.100:80` or `7`: how all other log lines name it. */
  readonly label: string;
  readonly settings: ServiceSettings;
  readonly reals: readonly Real[];
  readonly fallback: Fallback | undefined;
  readonly fallbackcommand: string | undefined;
  readonly failurecount: number;
  /** Seconds. */
  readonly checkinterval: number;
  /** Undefined: a server comes back with its first success, as in ldirectord. */
  readonly flapdamping: FlapDamping | undefined;
  readonly quiescent: boolean;
  readonly cleanstop: boolean;
  readonly emailalert: EmailAlert;
  readonly monitorfile: string | undefined;
  readonly servicename: string | undefined;
  readonly comment: string | undefined;
}

export interface Real {
  readonly at: Position;
  readonly address: Address;
  /** 0 when the file gives none. */
  readonly port: number;
  readonly forwarding: Forwarding;
  readonly weight: number;
  readonly upperThreshold: number;
  readonly lowerThreshold: number;
  readonly check: CheckSettings;
}

export interface Fallback {
  readonly address: Address;
  readonly port: number;
  readonly forwarding: Forwarding;
}

export type CheckType =
  'negotiate' | 'connect' | 'ping' | 'off' | 'on' | 'external' | 'external-perl' | 'combined';

export type CheckService =
  | 'dns'
  | 'ftp'
  | 'http'
  | 'https'
  | 'http_proxy'
  | 'imap'
  | 'imaps'
  | 'ldap'
  | 'ldaps'
  | 'mysql'
  | 'nntp'
  | 'none'
  | 'oracle'
  | 'pgsql'
  | 'pop'
  | 'pops'
  | 'radius'
  | 'simpletcp'
  | 'sip'
  | 'smtp'
  | 'submission';

/** What a good answer matches. */
export interface Receive {
  /** The Perl pattern, as written. */
  readonly text: string;
  /** What means the same here. */
  readonly pattern: RegExp;
}

/** Everything one check of one real server needs; also what decides that two reals share one check. */
export interface CheckSettings {
  /**
   * Identity as ldirectord forms it (type and service or command, protocol, address, port, virtualhost, checkport,
   * weight, forwarding, request, receive). Reals with the same id are checked once.
   */
  readonly id: string;
  readonly type: CheckType;
  /** With type `combined`: connects between two negotiates. Otherwise 0. */
  readonly connects: number;
  readonly service: CheckService;
  readonly protocol: 'tcp' | 'udp' | 'fwm';
  readonly address: Address;
  /** Port the check goes to (checkport, else the real's port, else the service's default); 0 if none is known. */
  readonly port: number;
  /** As configured: leading slash added where ldirectord adds it. */
  readonly request: string;
  /** http, https, http_proxy: the complete URL. */
  readonly url: string | undefined;
  /** Undefined when the answer is not looked at. */
  readonly receive: Receive | undefined;
  readonly httpmethod: 'GET' | 'HEAD';
  readonly virtualhost: string | undefined;
  readonly login: string;
  readonly password: string;
  readonly database: string;
  readonly secret: string;
  /** external: program and arguments of our own (words, no shell). */
  readonly command: string;
  /** What external checks get as arguments 1 and 2: virtual address (or mark) and port. */
  readonly virtualAddress: string;
  readonly virtualPort: number;
  /** What external checks get as argument 4. */
  readonly realPort: number;
  /** Seconds. */
  readonly checktimeout: number;
  readonly negotiatetimeout: number;
  /** Pings to try. */
  readonly checkcount: number;
  /** TLS: verify nothing, the chain, or chain and name. ldirectord verifies the chain for https. */
  readonly tlsverify: 'none' | 'chain' | 'full';
}
