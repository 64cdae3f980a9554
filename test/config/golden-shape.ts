/** Our configuration in the shape in which the real ldirectord's parsed variables were recorded. */
import type { Configuration, Fallback, Real, Virtual } from '../../src/config/model.ts';
import { familyOf } from '../../src/util/ip.ts';

type Shape = Record<string, unknown>;

const methods: Readonly<Record<string, string>> = { gate: '-g', masq: '-m', ipip: '-i' };
const stateBits: Readonly<Record<string, number>> = { starting: 1, running: 2, stopping: 4, reloading: 8 };

export function toGolden({ global, virtuals }: Configuration): { global: Shape; virtual: Shape[] } {
  return {
    global: {
      AUTOCHECK: yesNo(global.autoreload),
      CALLBACK: global.callback,
      CHECKCOUNT: global.checkcount,
      CHECKINTERVAL: global.checkinterval,
      CHECKTIMEOUT: global.checktimeout ?? -1,
      CLEANSTOP: yesNo(global.cleanstop),
      EMAILALERT: global.emailalert.to,
      EMAILALERTFREQ: global.emailalert.frequency,
      EMAILALERTFROM: global.emailalertfrom,
      EMAILALERTSTATUS: bits(global.emailalert.states),
      EXECUTE: global.execute,
      FAILURECOUNT: global.failurecount,
      FALLBACK: perProtocol(global.fallback),
      FALLBACK6: perProtocol(global.fallback6),
      FALLBACKCOMMAND: global.fallbackcommand,
      FORKING: yesNo(global.fork),
      LDIRLOG: global.logfile,
      MAINTDIR: global.maintenancedir,
      NEGOTIATETIMEOUT: global.negotiatetimeout ?? -1,
      QUIESCENT: yesNo(global.quiescent),
      READDQUIESCENT: yesNo(global.readdquiescent),
      SMTP: global.emailalert.smtp,
      SUPERVISED: yesNo(global.supervised),
    },
    virtual: virtuals.map(virtualShape),
  };
}

function virtualShape(virtual: Virtual): Shape {
  const { service, settings } = virtual;
  const check = virtual.reals[0]?.check;
  const mark = service.kind === 'fwmark';
  return {
    addressfamily: (mark ? service.family : familyOf(service.address)) === 'inet' ? 2 : 10,
    ...(mark ? { fwm: service.mark } : { server: bracketed(service.address) }),
    port: mark ? 0 : service.port,
    proto: mark ? '-f' : service.protocol === 'udp' ? '-u' : '-t',
    protocol: mark ? 'fwm' : service.protocol,
    scheduler: settings.scheduler,
    ...(settings.persistence > 0 ? { persistent: settings.persistence } : {}),
    flags: flags(virtual),
    failurecount: virtual.failurecount,
    fallback_effective: fallbackShape(virtual.fallback),
    fallbackcommand: virtual.fallbackcommand,
    virtual_id: virtual.id,
    emailalert: virtual.emailalert.to,
    emailalertfreq: virtual.emailalert.frequency,
    emailalertstatus: bits(virtual.emailalert.states),
    smtp: virtual.emailalert.smtp,
    servicename: virtual.servicename,
    comment: virtual.comment,
    ...(check === undefined
      ? {}
      : {
          checkcommand: check.command,
          checkcount: check.checkcount,
          checktimeout: check.checktimeout,
          checktype: check.type,
          database: check.database,
          httpmethod: check.httpmethod,
          login: check.login,
          negotiatetimeout: check.negotiatetimeout,
          num_connects: check.connects,
          passwd: check.password,
          secret: check.secret,
          service: check.service,
          virtualhost: check.virtualhost,
        }),
    real: virtual.reals.map(realShape),
  };
}

function realShape(real: Real): Shape {
  const { check } = real;
  return {
    server: bracketed(real.address),
    port: real.port,
    checkport: check.port === 0 ? undefined : check.port,
    forw: methods[real.forwarding],
    forward: real.forwarding,
    weight: real.weight,
    'l-threshold': real.lowerThreshold,
    'u-threshold': real.upperThreshold,
    real_id: check.id,
    request: check.request,
    ...(check.url === undefined ? {} : { url: check.url }),
  };
}

/** What ldirectord writes behind `ipvsadm -A`. */
function flags({ service, settings, label }: Virtual): string {
  const mark = service.kind === 'fwmark';
  const six = (mark ? service.family : familyOf(service.address)) === 'inet6';
  const mask = six ? 128 : 0xffffffff;
  return [
    mark ? `-f ${label}${six ? ' -6' : ''}` : `${service.protocol === 'udp' ? '-u' : '-t'} ${label}`,
    settings.onePacket ? '-o' : '',
    `-s ${settings.scheduler}`,
    settings.persistence > 0 ? `-p ${settings.persistence}` : '',
    settings.netmask === mask ? '' : `-M ${six ? settings.netmask : dotted(settings.netmask)}`,
    ...Array.from({ length: settings.schedulerFlags === 0 ? 0 : 1 }, () => `-b ${flagNames(settings)}`),
  ]
    .filter((part) => part !== '')
    .map((part) => `${part} `)
    .join('');
}

function flagNames({ scheduler, schedulerFlags }: Virtual['settings']): string {
  const names = [`${scheduler}-fallback`, `${scheduler}-port`, 'flag-3'];
  return names.filter((_, i) => (schedulerFlags & (1 << i)) !== 0).join(',');
}

function fallbackShape(fallback: Fallback | undefined): Shape | undefined {
  if (fallback === undefined) return undefined;
  const { address, port, forwarding } = fallback;
  return {
    server: bracketed(address),
    port,
    forward: forwarding,
    weight: 1,
    'l-threshold': 0,
    'u-threshold': 0,
  };
}

function perProtocol(fallback: Fallback | undefined): Shape | undefined {
  return fallback && { tcp: fallbackShape(fallback), udp: fallbackShape(fallback) };
}

function bits(states: ReadonlySet<string>): number {
  return [...states].reduce((sum, state) => sum | (stateBits[state] ?? 0), 0);
}

function bracketed(address: string): string {
  return familyOf(address) === 'inet6' ? `[${address}]` : address;
}

function dotted(mask: number): string {
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 255).join('.');
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}
