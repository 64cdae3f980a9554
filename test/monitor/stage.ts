/** A monitor with a real director, a fake clock and checks that answer what the test says, with everything recorded. */
import type {
  CheckSettings,
  Configuration,
  Fallback,
  GlobalSettings,
  Real,
  Virtual,
} from '../../src/config/model.ts';
import { Director } from '../../src/director/director.ts';
import type { AddressService, Destination, FwmarkService } from '../../src/director/table.ts';
import { destinationKey, serviceKey } from '../../src/director/table.ts';
import type { Verb } from '../../src/director/verbs.ts';
import type { Checker } from '../../src/monitor/check.ts';
import { Monitor } from '../../src/monitor/monitor.ts';
import { formatEndpoint } from '../../src/util/ip.ts';
import { FakeClock } from './fake-clock.ts';

const at = { line: 1, column: 1 };
const emailalert = { to: '', frequency: 0, states: new Set<'running'>() };

export const tcp80: AddressService = { kind: 'address', protocol: 'tcp', address: '10.1.0.100', port: 80 };
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
    settings: {
      scheduler: 'rr',
      schedulerFlags: 0,
      persistence: 0,
      netmask: 0xffffffff,
      persistenceEngine: '',
      onePacket: false,
      proxyProtocol: 'none',
    },
    reals,
    fallback: undefined,
    fallbackcommand: undefined,
    failurecount: 1,
    checkinterval: 10,
    quiescent: false,
    cleanstop: true,
    emailalert,
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
      emailalert,
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

export interface Stage {
  readonly monitor: Monitor;
  readonly director: Director;
  readonly clock: FakeClock;
  /** Addresses whose checks succeed. */
  readonly alive: Set<string>;
  /** Check ids in the order they were asked. */
  readonly asked: string[];
  /** Command lines that were given to the shell. */
  readonly commands: string[];
  /** What was logged and what was said to the director since the last look. */
  readonly news: () => { log: string[]; verbs: string[] };
  /** `10.2.0.11:80 gate 1` for each destination, oldest first. */
  readonly table: (service?: AddressService | FwmarkService) => string[];
}

export function stage(check?: Checker): Stage {
  const log: string[] = [];
  const verbs: string[] = [];
  const commands: string[] = [];
  const asked: string[] = [];
  const alive = new Set<string>();
  const clock = new FakeClock();
  const director = new Director({ applied: (verb) => verbs.push(inShort(verb)) });
  const answer: Checker = (settings) => {
    asked.push(settings.id);
    const up = alive.has(settings.address);
    return Promise.resolve({ up, detail: up ? 'ok' : 'Connection refused', milliseconds: 1 });
  };
  const monitor = new Monitor({
    director,
    clock,
    check: check ?? answer,
    log: (message) => log.push(message),
    shell: (command) => {
      commands.push(command);
      return Promise.resolve({ status: 0, detail: 'exit status 0' });
    },
  });
  return {
    monitor,
    director,
    clock,
    alive,
    asked,
    commands,
    news: () => ({ log: log.splice(0), verbs: verbs.splice(0) }),
    table: (service = tcp80) => (director.find(service)?.destinations ?? []).map(row).reverse(),
  };
}

/** What ipvsadm would have been called with: `-a tcp:10.1.0.100:80 10.2.0.11:80 gate 1`. */
function inShort(verb: Verb): string {
  switch (verb.verb) {
    case 'add-service':
      return `-A ${serviceKey(verb.service)} ${verb.settings.scheduler}`;
    case 'edit-service':
      return `-E ${serviceKey(verb.service)} ${verb.settings.scheduler}`;
    case 'delete-service':
      return `-D ${serviceKey(verb.service)}`;
    case 'add-destination':
      return `-a ${serviceKey(verb.service)} ${row({ id: verb.destination, ...verb.settings })}`;
    case 'edit-destination':
      return `-e ${serviceKey(verb.service)} ${row({ id: verb.destination, ...verb.settings })}`;
    case 'delete-destination':
      return `-d ${serviceKey(verb.service)} ${destinationKey(verb.destination)}`;
    default:
      return verb.verb;
  }
}

function row({ id, forwarding, weight, upperThreshold, lowerThreshold }: Destination): string {
  const thresholds = upperThreshold + lowerThreshold > 0 ? ` x ${upperThreshold} y ${lowerThreshold}` : '';
  return `${destinationKey(id)} ${forwarding} ${weight}${thresholds}`;
}
