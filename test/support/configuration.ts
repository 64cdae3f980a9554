/** Parsed configurations as literals: the plainest check, server, section and file, each with what a test changes. */
import type {
  CheckSettings,
  Configuration,
  EmailAlert,
  Fallback,
  GlobalSettings,
  Real,
  Virtual,
} from '../../src/config/model.ts';
import type { AddressService, FwmarkService } from '../../src/director/table.ts';
import { serviceKey } from '../../src/director/table.ts';
import { formatEndpoint } from '../../src/util/ip.ts';
import { roundRobin, tcp80 } from './table.ts';

const at = { line: 1, column: 1 };
export const noMail: EmailAlert = { to: '', frequency: 0, states: new Set() };

export const fallback: Fallback = { address: '127.0.0.1', port: 80, forwarding: 'gate' };

export function checkSettings(changes: Partial<CheckSettings> = {}): CheckSettings {
  const address = changes.address ?? '127.0.0.1';
  const port = changes.port ?? 80;
  const type = changes.type ?? 'connect';
  return {
    id: `${type}:${changes.service ?? 'none'}:tcp:${formatEndpoint(address, port)}:${changes.request ?? ''}`,
    type,
    connects: 0,
    service: 'none',
    protocol: 'tcp',
    address,
    port,
    request: '',
    url: undefined,
    receive: undefined,
    httpmethod: 'GET',
    virtualhost: undefined,
    login: '',
    password: '',
    database: '',
    secret: '',
    command: '/bin/true',
    virtualAddress: '10.1.0.100',
    virtualPort: 80,
    realPort: port,
    checktimeout: 5,
    negotiatetimeout: 30,
    checkcount: 1,
    tlsverify: 'chain',
    ...changes,
  };
}

/** `10.2.0.11:80` and what is special about it. */
export function real(
  endpoint: string,
  changes: Partial<Real> = {},
  check: Partial<CheckSettings> = {},
): Real {
  const colon = endpoint.lastIndexOf(':');
  const address = endpoint.slice(0, colon);
  const port = Number(endpoint.slice(colon + 1));
  return {
    at,
    address,
    port,
    forwarding: 'gate',
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
    check: checkSettings({ address, port, ...check }),
    ...changes,
  };
}

export function virtual(reals: readonly Real[], changes: Partial<Virtual> = {}): Virtual {
  const service: AddressService | FwmarkService = changes.service ?? tcp80;
  return {
    at,
    service,
    id: serviceKey(service),
    label: service.kind === 'fwmark' ? String(service.mark) : formatEndpoint(service.address, service.port),
    settings: roundRobin,
    reals,
    fallback: undefined,
    fallbackcommand: undefined,
    failurecount: 1,
    checkinterval: 10,
    flapdamping: undefined,
    quiescent: false,
    cleanstop: true,
    emailalert: noMail,
    monitorfile: undefined,
    servicename: undefined,
    comment: undefined,
    ...changes,
  };
}

export function configuration(
  virtuals: readonly Virtual[],
  changes: Partial<GlobalSettings> = {},
): Configuration {
  return {
    file: '/run/ld.cf',
    global: {
      checkinterval: 10,
      checkcount: 1,
      failurecount: 1,
      flapdamping: undefined,
      checktimeout: undefined,
      negotiatetimeout: undefined,
      autoreload: false,
      callback: undefined,
      logfile: '/var/log/ldirectord.log',
      execute: [],
      fork: false,
      supervised: false,
      quiescent: false,
      readdquiescent: false,
      cleanstop: true,
      emailalert: noMail,
      emailalertfrom: undefined,
      maintenancedir: undefined,
      fallback: undefined,
      fallback6: undefined,
      fallbackcommand: undefined,
      ...changes,
    },
    virtuals,
  };
}
