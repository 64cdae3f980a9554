/** A monitor with a real director, a fake clock and checks that answer what the test says, with everything recorded. */
import { Director } from '../../src/director/director.ts';
import type { AddressService, Destination, FwmarkService } from '../../src/director/table.ts';
import { destinationKey, serviceKey } from '../../src/director/table.ts';
import type { Verb } from '../../src/director/verbs.ts';
import type { Checker } from '../../src/monitor/check.ts';
import type { MonitorParts } from '../../src/monitor/monitor.ts';
import { Monitor } from '../../src/monitor/monitor.ts';
import { tcp80 } from '../support/table.ts';
import { FakeClock } from './fake-clock.ts';

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
  /** Why checks failed, as told to the operator. */
  readonly reasons: string[];
  /** What was logged and what was said to the director since the last look. */
  readonly news: () => { log: string[]; verbs: string[] };
  /** `10.2.0.11:80 gate 1` for each destination, oldest first. */
  readonly table: (service?: AddressService | FwmarkService) => string[];
}

export function stage(
  check?: Checker,
  mail: MonitorParts['mail'] = () => undefined,
  checked: MonitorParts['checked'] = () => undefined,
): Stage {
  const log: string[] = [];
  const reasons: string[] = [];
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
    // so that tests can count rounds
    spread: () => 0,
    log: (message) => log.push(message),
    mail,
    checked,
    explain: (message) => reasons.push(message),
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
    reasons,
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
