/**
 * A `virtual=` section with names looked up and everything inherited or defaulted: the order of the steps is that in
 * which ldirectord finds mistakes.
 */
import type { AddressService, FwmarkService, ServiceSettings } from '../director/table.ts';
import { serviceKey } from '../director/table.ts';
import type { Names } from '../util/names.ts';
import type { Family } from '../util/ip.ts';
import { familyOf, formatEndpoint } from '../util/ip.ts';
import type { SectionCheck } from './check-settings.ts';
import { checkSettings, ignoresReceive } from './check-settings.ts';
import { isDatabase, serviceOfPort } from './check-service.ts';
import type { Report } from './diagnostic.ts';
import type { VirtualDraft } from './draft.ts';
import { resolveFallback } from './fallback-line.ts';
import { resolveHost, resolvePort, shortAddress } from './host.ts';
import type { EmailAlert, Fallback, GlobalSettings, Position, Real, Virtual } from './model.ts';
import { wholeNetmask } from './netmask.ts';
import type { ProxyProtocol } from './resolve-global.ts';
import type { NamedReal } from './resolve-real.ts';
import { resolveRealLine, warnAboutRepeated } from './resolve-real.ts';
import { parseSchedulerFlags } from './scheduler-flags.ts';
import type { VirtualTarget } from './virtual-line.ts';

/** A section as read: what its head names, and what its lines say. */
export interface SectionDraft {
  readonly at: Position;
  readonly family: Family;
  readonly target: VirtualTarget;
  readonly draft: VirtualDraft;
}

/** A section whose names are known, still without what it inherits. */
export interface NamedSection extends SectionDraft {
  readonly service: AddressService | FwmarkService;
  /** Its own fallback, if it has one. */
  readonly fallback: Fallback | undefined;
  readonly reals: readonly NamedReal[];
}

/** Looks up fallback, address and real servers, in this order. Undefined if it has no address; mistakes are reported. */
export async function nameSection(
  section: SectionDraft,
  names: Names,
  report: Report,
): Promise<NamedSection | undefined> {
  const { draft, family, target } = section;
  const written = family === 'inet' ? draft.fallback : draft.fallback6;
  const protocol = target.kind === 'mark' ? undefined : addressProtocol(draft, target.port);
  const fallback =
    written &&
    (await resolveFallback(written, family, protocol === undefined ? [] : [protocol], names, report));
  const service = await nameService(section, protocol, names, report);
  if (service === undefined) return undefined;
  warnAboutHead(section, service, report);
  const reals: NamedReal[] = [];
  for (const line of draft.reals) reals.push(...(await resolveRealLine(line, { family, names, report })));
  warnAboutRepeated(reals, report);
  const port = service.kind === 'address' ? service.port : 0;
  return { ...section, service, fallback: fallback && { ...fallback, port: fallback.port ?? port }, reals };
}

function addressProtocol(draft: VirtualDraft, writtenPort: string): 'tcp' | 'udp' {
  if (draft.protocol === 'tcp' || draft.protocol === 'udp') return draft.protocol;
  return writtenPort === '53' || writtenPort === 'domain' ? 'udp' : 'tcp';
}

async function nameService(
  { at, family, target }: SectionDraft,
  protocol: 'tcp' | 'udp' | undefined,
  names: Names,
  report: Report,
): Promise<AddressService | FwmarkService | undefined> {
  if (target.kind === 'mark') return { kind: 'fwmark', mark: target.mark, family };
  if (protocol === undefined) return undefined;
  const address = await resolveHost(target.host, family, names);
  const port = resolvePort(target.port, [protocol], names);
  if (address !== undefined && port !== undefined) return { kind: 'address', protocol, address, port };
  const host =
    family === 'inet' ? 'an IPv4 address or a name that has one' : 'an IPv6 address or a name that has one';
  report.error(
    at,
    'invalid address for virtual service',
    address === undefined
      ? `${host} (is "${target.host}")`
      : `a port from 0 to 65535 or a ${protocol} service name (is "${target.port}")`,
  );
  return undefined;
}

function warnAboutHead({ at, target }: SectionDraft, service: NamedSection['service'], report: Report): void {
  const extra = target.trailing.replace(/#.*/s, '').trim();
  if (extra !== '')
    report.warning(at, `"${extra}" behind the address is ignored`, 'nothing more on this line');
  if (service.kind === 'fwmark' && service.mark === 0) {
    report.warning(at, 'firewall mark 0 is that of unmarked packets: no service can have it', '1 or more');
  }
  if (target.kind === 'address' && service.kind === 'address') {
    if (shortAddress(target.host) !== undefined && target.host !== service.address) {
      report.warning(at, `${target.host} is read as the address ${service.address}`, 'four numbers');
    }
  }
}

/** The finished service. */
export function resolveVirtual(
  section: NamedSection,
  global: GlobalSettings,
  proxyProtocol: ProxyProtocol,
  report: Report,
): Virtual {
  const { draft, service } = section;
  const id = serviceKey(service);
  const check = sectionCheck(section, global, report);
  if (draft.checkinterval !== undefined && !global.fork) {
    report.warning(undefined, `checkinterval in virtual service ${id} ignored when fork=no`);
  }
  return {
    at: section.at,
    service,
    id,
    label: service.kind === 'fwmark' ? String(service.mark) : formatEndpoint(service.address, service.port),
    settings: serviceSettings(section, proxyProtocol, report),
    reals: section.reals.map((real) => finishedReal(real, check)),
    fallback: section.fallback ?? inheritedFallback(section, global),
    fallbackcommand: draft.fallbackcommand ?? global.fallbackcommand,
    failurecount: draft.failurecount ?? global.failurecount,
    checkinterval: (global.fork ? draft.checkinterval : undefined) ?? global.checkinterval,
    flapdamping: draft.flapdamping === 'no' ? undefined : (draft.flapdamping ?? global.flapdamping),
    quiescent: draft.quiescent ?? global.quiescent,
    cleanstop: draft.cleanstop ?? global.cleanstop,
    emailalert: emailAlert(draft, global.emailalert),
    monitorfile: draft.monitorfile,
    servicename: draft.servicename,
    comment: draft.comment,
  };
}

function finishedReal(real: NamedReal, check: SectionCheck): Real {
  const { at, address, port, forwarding, weight, upperThreshold, lowerThreshold } = real;
  return {
    at,
    address,
    port,
    forwarding,
    weight,
    upperThreshold,
    lowerThreshold,
    check: checkSettings(check, real),
  };
}

function sectionCheck(
  { at, draft, service }: NamedSection,
  global: GlobalSettings,
  report: Report,
): SectionCheck {
  const port = service.kind === 'address' ? service.port : 0;
  const checked = draft.service ?? (service.kind === 'address' ? serviceOfPort(port) : 'none');
  if (draft.receive !== undefined && ignoresReceive(draft, checked)) {
    report.warning(
      draft.receive.at,
      'receive is ignored with httpmethod=HEAD, because the answer has no body',
      'httpmethod=GET',
    );
  }
  if (draft.tlsverify !== undefined && draft.tlsverify !== 'none' && isDatabase(checked)) {
    report.warning(
      at,
      `tlsverify=${draft.tlsverify} has no effect with service=${checked}: its check believes any certificate`,
      'tlsverify=none',
    );
  }
  return {
    draft,
    service: checked,
    protocol: service.kind === 'fwmark' ? 'fwm' : service.protocol === 'udp' ? 'udp' : 'tcp',
    virtualAddress: service.kind === 'fwmark' ? String(service.mark) : externalAddress(service.address),
    virtualPort: port,
    ...timeouts(draft, global),
    checkcount: draft.checkcount ?? global.checkcount,
  };
}

/** External programs get IPv6 addresses in brackets. */
function externalAddress(address: string): string {
  return familyOf(address) === 'inet6' ? `[${address}]` : address;
}

/** Each timeout stands in for the other one at its own level before the level above is asked. */
function timeouts(
  own: VirtualDraft,
  global: GlobalSettings,
): { checktimeout: number; negotiatetimeout: number } {
  const { checktimeout: check, negotiatetimeout: negotiate } = own;
  const { checktimeout: globalCheck, negotiatetimeout: globalNegotiate } = global;
  return {
    checktimeout: check ?? negotiate ?? globalCheck ?? globalNegotiate ?? 5,
    negotiatetimeout: negotiate ?? check ?? globalNegotiate ?? globalCheck ?? 30,
  };
}

function inheritedFallback({ family, service }: NamedSection, global: GlobalSettings): Fallback | undefined {
  const fallback = family === 'inet' ? global.fallback : global.fallback6;
  if (fallback === undefined || fallback.port !== 0) return fallback;
  return { ...fallback, port: service.kind === 'address' ? service.port : 0 };
}

function serviceSettings(
  { draft, family, service }: NamedSection,
  inherited: ProxyProtocol,
  report: Report,
): ServiceSettings {
  const scheduler = draft.scheduler ?? 'wrr';
  const persistence = draft.persistent ?? 0;
  const ownProxy = draft.proxyprotocol === 'no' ? 'none' : draft.proxyprotocol;
  return {
    scheduler,
    schedulerFlags:
      draft.schedflags === undefined ? 0 : parseSchedulerFlags(draft.schedflags, scheduler, report),
    persistence,
    netmask: (persistence > 0 ? draft.netmask : undefined) ?? wholeNetmask[family],
    persistenceEngine: '',
    onePacket: draft.ops === true && service.kind === 'address' && service.protocol === 'udp',
    proxyProtocol: ownProxy ?? inherited,
  };
}

function emailAlert(draft: VirtualDraft, inherited: EmailAlert): EmailAlert {
  const smtp = draft.smtp ?? inherited.smtp;
  return {
    to: draft.emailalert ?? inherited.to,
    frequency: draft.emailalertfreq ?? inherited.frequency,
    states: draft.emailalertstatus ?? inherited.states,
    ...(smtp === undefined ? {} : { smtp }),
  };
}
