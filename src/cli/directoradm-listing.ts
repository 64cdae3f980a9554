/**
 * The listing of services (`-L`), byte for byte as ipvsadm prints it in each of its formats. Columns are fixed, names
 * of IPv4 endpoints are cut to fit, IPv6 ones push the columns.
 */
import type { Destination, Forwarding, ServiceId, ServiceSettings, Tunnel } from '../director/table.ts';
import { serviceFamily } from '../director/table.ts';
import { counterFields } from '../observe/counter-table.ts';
import type { DestinationListing, ServiceListing } from '../observe/listing.ts';
import { formatAddress, familyOf } from '../util/ip.ts';
import type { ListFormat } from './directoradm-command.ts';
import type { Naming } from './directoradm-naming.ts';
import { abbreviated, exact } from './directoradm-numbers.ts';
import { formatSchedulerFlags } from './directoradm-scheduler-flags.ts';

export interface ListingOptions {
  readonly format: ListFormat;
  readonly exact: boolean;
  readonly naming: Naming;
}

export const versionLine = 'IP Virtual Server version 1.2.1 (size=4096)';

/** Two header lines, then services and their destinations, in the order given. Every line ends with a newline. */
export function formatListing(services: readonly ServiceListing[], options: ListingOptions): string {
  const lines = header(options.format);
  for (const service of services) {
    lines.push(serviceLine(service, options));
    const protocol = service.id.kind === 'address' ? service.id.protocol : undefined;
    for (const destination of service.destinations) {
      const { address, port } = destination.id;
      const name = cut(options.naming.endpoint(address, port, protocol), familyOf(address) === 'inet', 28);
      lines.push(`  -> ${name.padEnd(28)}${destinationColumns(destination, options)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** `TCP  10.0.0.1:80`, `FWM  7 IPv6`; marks print signed, as ipvsadm's do. */
function formatService(id: ServiceId, naming: Naming): string {
  if (id.kind === 'fwmark') return `FWM  ${id.mark | 0}${id.family === 'inet6' ? ' IPv6' : ''}`;
  return `${id.protocol.toUpperCase().padEnd(4)} ${naming.endpoint(id.address, id.port, id.protocol)}`;
}

/** The mask as `-M` takes it, undefined when it is one address. */
export function formatNetmask(id: ServiceId, { netmask }: ServiceSettings): string | undefined {
  if (serviceFamily(id) === 'inet6') return netmask === 128 ? undefined : netmask.toString();
  if (netmask === 0xffffffff) return undefined;
  return formatAddress(Uint8Array.of(netmask >>> 24, netmask >>> 16, netmask >>> 8, netmask));
}

function header(format: ListFormat): string[] {
  const local = 'Prot LocalAddress:Port';
  const remote = '  -> RemoteAddress:Port';
  const titles = (words: readonly string[], widths: readonly number[]): string =>
    [local.padEnd(33), ...words.map((word, i) => word.padEnd(widths[i] ?? 0))].join(' ');
  switch (format) {
    case 'stats':
      return [counterHeader(counterFields.map((field) => field.title)), remote];
    case 'rate':
      return [counterHeader(counterFields.map((field) => field.rateTitle)), remote];
    case 'thresholds':
      return [titles(['Uthreshold', 'Lthreshold', 'ActiveConn', 'InActConn'], [10, 10, 10, 10]), remote];
    case 'persistent-conn':
      return [titles(['Weight', 'PersistConn', 'ActiveConn', 'InActConn'], [9, 11, 10, 10]), remote];
    case 'tun-info':
      return [
        `${local} Scheduler Flags`,
        `${remote}           Forward TunnelInfo    Weight ActiveConn InActConn`,
      ];
    case 'plain':
      return [`${local} Scheduler Flags`, `${remote}           Forward Weight ActiveConn InActConn`];
  }
}

function counterHeader(titles: readonly string[]): string {
  return ['Prot LocalAddress:Port'.padEnd(33), ...titles.map((title) => title.padStart(8))].join(' ');
}

function serviceLine(service: ServiceListing, options: ListingOptions): string {
  const { id, settings } = service;
  const name = cut(formatService(id, options.naming), serviceFamily(id) === 'inet', 33);
  const number = options.exact ? exact : abbreviated;
  switch (options.format) {
    case 'stats':
      return name.padEnd(33) + counterFields.map(({ key }) => number(service.counters[key])).join('');
    case 'rate':
      return name.padEnd(33) + counterFields.map(({ key }) => number(service.rates[key])).join('');
    default:
      return name + settingsSuffix(id, settings);
  }
}

function settingsSuffix(id: ServiceId, settings: ServiceSettings): string {
  const { scheduler, schedulerFlags, persistence, persistenceEngine, onePacket, proxyProtocol } = settings;
  let text = ` ${scheduler}`;
  if (schedulerFlags !== 0) text += ` (${formatSchedulerFlags(schedulerFlags, scheduler)})`;
  if (persistence !== 0) {
    const mask = formatNetmask(id, settings);
    text += ` persistent ${persistence}${mask === undefined ? '' : ` mask ${mask}`}`;
    if (persistenceEngine !== '') text += ` pe ${persistenceEngine}`;
  }
  if (onePacket) text += ' ops';
  if (proxyProtocol !== 'none') text += ` proxy-protocol ${proxyProtocol}`;
  return text;
}

function destinationColumns(destination: DestinationListing, options: ListingOptions): string {
  const { weight, active, inactive, persistent, upperThreshold, lowerThreshold } = destination;
  const columns = (...cells: readonly (readonly [value: string | number, width: number])[]): string =>
    cells.map(([value, width]) => ` ${value.toString().padEnd(width)}`).join('');
  switch (options.format) {
    case 'stats':
      return counterFields
        .map(({ key }) => (options.exact ? exact : abbreviated)(destination.counters[key]))
        .join('');
    case 'rate':
      // Of a destination's rates only the bytes are ever abbreviated.
      return counterFields
        .map(({ key, unit }) =>
          (options.exact || unit !== 'bytes' ? exact : abbreviated)(destination.rates[key]),
        )
        .join('');
    case 'thresholds':
      return columns([upperThreshold, 10], [lowerThreshold, 10], [active, 10], [inactive, 10]);
    case 'persistent-conn':
      return columns([weight, 9], [persistent, 11], [active, 10], [inactive, 10]);
    case 'tun-info':
      return columns(
        [forwardNames[destination.forwarding], 7],
        [tunnelInfo(destination), 13],
        [weight, 6],
        [active, 10],
        [inactive, 10],
      );
    case 'plain':
      return columns([forwardNames[destination.forwarding], 7], [weight, 6], [active, 10], [inactive, 10]);
  }
}

/** Forwarding methods as listings show them. */
export const forwardNames: Readonly<Record<Forwarding, string>> = {
  masq: 'Masq',
  gate: 'Route',
  ipip: 'Tunnel',
  local: 'Local',
};

const checksumNames: Readonly<Record<Tunnel['checksum'], string>> = {
  nocsum: '-c',
  csum: '+c',
  remcsum: 'r+c',
};

function tunnelInfo({ forwarding, tunnel }: Destination): string {
  if (forwarding !== 'ipip') return 'n/a';
  const checksum = checksumNames[tunnel.checksum];
  if (tunnel.type === 'gue') return `gue:${tunnel.port}:${checksum}`;
  return tunnel.type === 'gre' ? `gre:${checksum}` : 'ipip';
}

function cut(name: string, ipv4: boolean, width: number): string {
  return ipv4 ? name.slice(0, width) : name;
}
