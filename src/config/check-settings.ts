/** Everything one check of one real server needs, put together from its section and its own line. */
import type { Forwarding } from '../director/table.ts';
import type { Address } from '../util/ip.ts';
import { familyOf } from '../util/ip.ts';
import { defaultTlsVerify, portOfService } from './check-service.ts';
import type { VirtualDraft } from './draft.ts';
import type { CheckService, CheckSettings, Receive } from './model.ts';

/** What a section has settled for the checks of all its real servers. */
export interface SectionCheck {
  readonly draft: VirtualDraft;
  readonly service: CheckService;
  readonly protocol: CheckSettings['protocol'];
  readonly virtualAddress: string;
  readonly virtualPort: number;
  readonly checktimeout: number;
  readonly negotiatetimeout: number;
  readonly checkcount: number;
}

/** What one `real=` line adds. */
export interface RealCheck {
  readonly address: Address;
  readonly port: number;
  readonly weight: number;
  readonly forwarding: Forwarding;
  /** Its own request and pattern, if it has them; `none` when it asks for none. */
  readonly request: string | undefined;
  readonly receive: Receive | 'none' | undefined;
}

export function withSlash(request: string): string {
  return request.startsWith('/') ? request : `/${request}`;
}

export function checkSettings(section: SectionCheck, real: RealCheck): CheckSettings {
  const { draft, service } = section;
  const { type, connects } = draft.checktype ?? { type: 'negotiate', connects: 0 };
  const ownPort = real.port === 0 ? portOfService(service) : real.port;
  const port = draft.checkport ?? ownPort;
  const request = real.request ?? draft.request ?? '/';
  const httpmethod = draft.httpmethod ?? 'GET';
  const virtualhost = draft.virtualhost === '' ? undefined : draft.virtualhost;
  return {
    id: checkId(section, real, request),
    type,
    connects,
    service,
    protocol: section.protocol,
    address: real.address,
    port,
    request,
    url: checkUrl(service, real.address, port, request),
    receive: ignoresReceive(draft, service) ? undefined : receiveOf(draft, real),
    httpmethod,
    virtualhost,
    login: draft.login ?? '',
    password: draft.passwd ?? '',
    database: draft.database ?? '',
    secret: draft.secret ?? '',
    command: commandOf(draft),
    virtualAddress: section.virtualAddress,
    virtualPort: section.virtualPort,
    realPort: real.port,
    checktimeout: section.checktimeout,
    negotiatetimeout: section.negotiatetimeout,
    checkcount: section.checkcount,
    tlsverify: draft.tlsverify ?? defaultTlsVerify(service),
  };
}

/** The answer to a HEAD request has no body that could match. */
export function ignoresReceive(draft: VirtualDraft, service: CheckService): boolean {
  return draft.httpmethod === 'HEAD' && isHttp(service);
}

function receiveOf(draft: VirtualDraft, real: RealCheck): Receive | undefined {
  if (real.receive === 'none') return undefined;
  const { text, pattern } = real.receive ?? draft.receive ?? {};
  return text === undefined || pattern === undefined ? undefined : { text, pattern };
}

function isHttp(service: CheckService): boolean {
  return service === 'http' || service === 'https' || service === 'http_proxy';
}

function commandOf(draft: VirtualDraft): string {
  return draft.checkcommand ?? '/bin/true';
}

/**
 * As ldirectord forms it, escapes included, because monitorfile lines are made of it: type with service or command,
 * protocol, address, port, virtualhost, checkport, weight, forwarding, request, receive.
 */
function checkId({ draft, service, protocol }: SectionCheck, real: RealCheck, request: string): string {
  const type = draft.checktype?.type ?? 'negotiate';
  const detail = type === 'external' || type === 'external-perl' ? commandOf(draft) : service;
  const detailed = type !== 'connect' && type !== 'ping' && type !== 'on' && type !== 'off';
  return [
    ...(detailed ? [type, detail] : [type]),
    protocol,
    hostInUrl(real.address),
    real.port,
    draft.virtualhost ?? '',
    draft.checkport ?? '',
    real.weight,
    real.forwarding,
    escaped(request),
    escaped(real.receive === 'none' ? '' : (real.receive?.text ?? draft.receive?.text ?? '')),
  ].join(':');
}

function escaped(text: string): string {
  return text.replace(/[^A-Za-z0-9_]/g, '\\$&');
}

function hostInUrl(address: Address): string {
  return familyOf(address) === 'inet6' ? `[${address}]` : address;
}

/** A request that is a URL of the service itself is used whole; a proxy is always asked for a whole URL. */
function checkUrl(
  service: CheckService,
  address: Address,
  port: number,
  request: string,
): string | undefined {
  if (!isHttp(service)) return undefined;
  const bare = request.slice(1);
  if (service === 'http_proxy' || bare.startsWith(`${service}://`)) return bare;
  return `${service}://${hostInUrl(address)}:${port === 0 ? '' : port}${request}`;
}
