/**
 * From the words of a command line to what is to be done: a verb for the director, or something to print. All of
 * ipvsadm's checks are here, in its order, so that the first message is the same.
 */
import type { DestinationSettings, ServiceId, ServiceSettings, SyncRole } from '../director/table.ts';
import type { Verb } from '../director/verbs.ts';
import type { ProcName } from '../observe/proc-text.ts';
import { familyOf } from '../util/ip.ts';
import type { NamesSource } from './directoradm-addresses.ts';
import { Draft, parseTimeout } from './directoradm-draft.ts';
import { CommandFault, tryHelp, UsageFault } from './directoradm-faults.ts';
import type { CommandName, FoundOption } from './directoradm-options.ts';
import { OptionReader } from './directoradm-options.ts';
import { checkOptions, checkTunnelOptions } from './directoradm-rules.ts';
import { parseSchedulerFlags } from './directoradm-scheduler-flags.ts';

export type ListFormat = 'plain' | 'stats' | 'rate' | 'thresholds' | 'persistent-conn' | 'tun-info';

export interface ListRequest {
  readonly what: 'services' | 'connections' | 'tables' | 'timeouts' | 'sync-daemons';
  readonly service: ServiceId | undefined;
  readonly format: ListFormat;
  readonly numeric: boolean;
  readonly exact: boolean;
  readonly sort: boolean;
  readonly json: boolean;
}

interface Addressed {
  /** Control socket, if one was named. */
  readonly control: string | undefined;
}

/** What is done with the director's table. */
export type TableCommand = Addressed &
  (
    | { readonly command: 'apply'; readonly verb: Verb }
    | { readonly command: 'list'; readonly list: ListRequest }
    | { readonly command: 'save'; readonly numeric: boolean }
    | { readonly command: 'proc'; readonly name: ProcName }
  );

export type RestoreCommand = Addressed & { readonly command: 'restore' };

export type AboutCommand = Addressed & ({ readonly command: 'help' } | { readonly command: 'version' });

export type Command = TableCommand | RestoreCommand | AboutCommand;

/** @throws UsageFault, CommandFault */
export async function parseCommand(
  words: readonly string[],
  program: string,
  names: NamesSource,
): Promise<Command> {
  const reader = new OptionReader(words);
  const draft = new Draft(names);
  const first = await firstCommand(reader, draft, program);
  if (first === undefined) return { command: 'list', list: listRequest(draft), control: draft.control };
  if (first.name === 'help' || first.name === 'version')
    return { command: first.name, control: draft.control };
  const role = syncRole(first);
  for (let found = reader.next(); found !== undefined; found = reader.next()) await draft.take(found);
  const timeouts = first.name === 'set' ? takeTimeouts(reader.rest) : { tcp: 0, tcpFin: 0, udp: 0 };
  const [unexpected] = reader.rest;
  if (unexpected !== undefined) throw new UsageFault(2, `unexpected argument ${unexpected}`);
  const flags = parseSchedulerFlags(draft.schedulerFlags, draft.scheduler);
  checkOptions(first.name, draft.given);
  const { control } = draft;
  switch (first.name) {
    case 'list':
      return { command: 'list', list: listRequest(draft), control };
    case 'save':
      return { command: 'save', numeric: draft.given.has('numeric'), control };
    case 'restore':
      return { command: 'restore', control };
    case 'proc':
      return { command: 'proc', name: await procName(first), control };
    case 'add-service':
    case 'edit-service':
      return { command: 'apply', control, verb: serviceVerb(first.name, draft, flags) };
    case 'delete-service':
      return { command: 'apply', control, verb: { verb: 'delete-service', service: serviceId(draft) } };
    case 'add-server':
    case 'edit-server':
      return { command: 'apply', control, verb: destinationVerb(first.name, draft) };
    case 'delete-server':
      return {
        command: 'apply',
        control,
        verb: { verb: 'delete-destination', service: serviceId(draft), destination: draft.destination },
      };
    case 'flush':
      return { command: 'apply', control, verb: { verb: 'flush' } };
    case 'zero':
      return { command: 'apply', control, verb: zeroVerb(draft) };
    case 'set':
      return { command: 'apply', control, verb: { verb: 'set-timeouts', timeouts } };
    case 'start-daemon':
      return { command: 'apply', control, verb: startVerb(role, draft) };
    case 'stop-daemon':
      return { command: 'apply', control, verb: { verb: 'stop-daemon', role } };
  }
}

interface FirstCommand {
  readonly name: CommandName;
  readonly value: string | undefined;
}

/** The command must come first (only our own `--control` may precede it); undefined when there are no words. */
async function firstCommand(
  reader: OptionReader,
  draft: Draft,
  program: string,
): Promise<FirstCommand | undefined> {
  for (;;) {
    const found = nextOrHelp(reader, program);
    if (found === undefined) {
      if (reader.wordCount === 0 || (draft.control !== undefined && reader.rest.length === 0))
        return undefined;
      throw tryHelp(program);
    }
    if (found.option.kind === 'command') return { name: found.option.command, value: found.value };
    if (found.option.kind !== 'free' || found.option.name !== 'control') throw tryHelp(program);
    await draft.take(found);
  }
}

function nextOrHelp(reader: OptionReader, program: string): FoundOption | undefined {
  try {
    return reader.next();
  } catch (error) {
    throw error instanceof CommandFault ? tryHelp(program) : error;
  }
}

function syncRole({ name, value }: FirstCommand): SyncRole {
  if (value === 'master' || value === 'backup') return value;
  if (name === 'start-daemon') throw new UsageFault(2, 'illegal start-daemon parameter specified');
  if (name === 'stop-daemon') throw new UsageFault(2, 'illegal start_daemon specified');
  return 'master';
}

async function procName({ value = '' }: FirstCommand): Promise<ProcName> {
  const { procNames } = await import('../observe/proc-text.ts');
  const name = procNames.find((each) => each === value);
  if (name === undefined) {
    throw new UsageFault(2, `--proc takes one of ${procNames.join(', ')}, not '${value}'`);
  }
  return name;
}

/** Takes the three values of `--set` off the front. */
function takeTimeouts(rest: string[]): { tcp: number; tcpFin: number; udp: number } {
  const [tcp, tcpFin, udp] = rest.splice(0, 3);
  if (tcp === undefined || tcpFin === undefined || udp === undefined) {
    throw new UsageFault(2, '--set option requires 3 timeout values');
  }
  return { tcp: parseTimeout(tcp, 0), tcpFin: parseTimeout(tcpFin, 0), udp: parseTimeout(udp, 0) };
}

function serviceId({ mark, family, protocol, address, port }: Draft): ServiceId {
  return protocol === undefined
    ? { kind: 'fwmark', mark, family }
    : { kind: 'address', protocol, address, port };
}

function serviceVerb(command: 'add-service' | 'edit-service', draft: Draft, schedulerFlags: number): Verb {
  if (draft.protocol !== undefined && draft.port === 0 && draft.persistence === 0) {
    throw new UsageFault(2, 'Zero port specified for non-persistent service');
  }
  if (draft.onePacket && draft.protocol !== undefined && draft.protocol !== 'udp') {
    throw new UsageFault(2, 'One-Packet Scheduling is only for UDP virtual services');
  }
  const { scheduler, persistence, netmask, persistenceEngine, onePacket, proxyProtocol } = draft;
  const settings: ServiceSettings = {
    scheduler,
    schedulerFlags,
    persistence,
    netmask,
    persistenceEngine,
    onePacket,
    proxyProtocol,
  };
  return { verb: command, service: serviceId(draft), settings };
}

function destinationVerb(command: 'add-server' | 'edit-server', draft: Draft): Verb {
  const { forwarding, weight, upperThreshold, lowerThreshold, destination } = draft;
  const tunnelled = forwarding === 'ipip';
  // Without address translation the packet arrives with the port it was sent to.
  const port = draft.protocol !== undefined && forwarding !== 'masq' ? draft.port : destination.port;
  if (familyOf(destination.address) !== draft.family && !tunnelled) {
    throw new UsageFault(2, 'Different address family is allowed only for tunneling servers');
  }
  const tunnelOptions = [...draft.given].some((name) => name.startsWith('tun-'));
  if (tunnelOptions && !tunnelled) throw new UsageFault(2, 'Tunnel options conflict with forward method');
  if (tunnelled) checkTunnelOptions(draft.tunnelType, draft.given);
  const settings: DestinationSettings = {
    forwarding,
    weight,
    upperThreshold,
    lowerThreshold,
    tunnel: { type: draft.tunnelType, port: draft.tunnelPort, checksum: draft.tunnelChecksum },
  };
  return {
    verb: command === 'add-server' ? 'add-destination' : 'edit-destination',
    service: serviceId(draft),
    destination: { address: destination.address, port },
    settings,
  };
}

/** The address of no host and no port means all services, too. */
function zeroVerb(draft: Draft): Verb {
  const nowhere = draft.mark === 0 && draft.port === 0 && ['0.0.0.0', '::'].includes(draft.address);
  return nowhere ? { verb: 'zero' } : { verb: 'zero', service: serviceId(draft) };
}

function startVerb(role: SyncRole, draft: Draft): Verb {
  const {
    interface: networkInterface,
    syncId,
    syncMaxLength: maxLength,
    group,
    groupPort: port,
    ttl,
  } = draft;
  return {
    verb: 'start-daemon',
    daemon: { role, interface: networkInterface, syncId, maxLength, group, port, ttl },
  };
}

function listRequest(draft: Draft): ListRequest {
  const { given } = draft;
  // The first of these that was given wins.
  const formats: readonly ListFormat[] = ['stats', 'rate', 'thresholds', 'persistent-conn', 'tun-info'];
  return {
    what: given.has('connection')
      ? 'connections'
      : given.has('timeout')
        ? 'timeouts'
        : given.has('daemon')
          ? 'sync-daemons'
          : given.has('tables')
            ? 'tables'
            : 'services',
    service: given.has('service-address') ? serviceId(draft) : undefined,
    format: formats.find((format) => format !== 'plain' && given.has(format)) ?? 'plain',
    numeric: given.has('numeric'),
    exact: given.has('exact'),
    sort: !given.has('nosort'),
    json: given.has('json'),
  };
}
