/** The table as commands that restore it (`-S`). Thresholds and timeouts are left out, as ipvsadm leaves them out. */
import type { Destination, ServiceId, ServiceSettings, VirtualService } from '../director/table.ts';
import { formatNetmask } from './directoradm-listing.ts';
import type { Naming } from './directoradm-naming.ts';
import { formatSchedulerFlags } from './directoradm-scheduler-flags.ts';

export function formatSave(services: readonly VirtualService[], naming: Naming): string {
  const lines: string[] = [];
  for (const service of services) {
    const name = serviceArgument(service.id, naming);
    lines.push(`-A ${name}${settingsArguments(service.id, service.settings)}\n`);
    const protocol = service.id.kind === 'address' ? service.id.protocol : undefined;
    for (const destination of service.destinations) {
      const { address, port } = destination.id;
      const server = naming.endpoint(address, port, protocol);
      lines.push(`-a ${name} -r ${server}${destinationArguments(destination)}\n`);
    }
  }
  return lines.join('');
}

const serviceOptions = { tcp: '-t', udp: '-u', sctp: '--sctp-service' } as const;

function serviceArgument(id: ServiceId, naming: Naming): string {
  if (id.kind === 'fwmark') return `-f ${id.mark | 0}${id.family === 'inet6' ? ' -6' : ''}`;
  return `${serviceOptions[id.protocol]} ${naming.endpoint(id.address, id.port, id.protocol)}`;
}

function settingsArguments(id: ServiceId, settings: ServiceSettings): string {
  const { scheduler, schedulerFlags, persistence, persistenceEngine, onePacket, proxyProtocol } = settings;
  let text = ` -s ${scheduler}`;
  if (persistence !== 0) {
    const mask = formatNetmask(id, settings);
    text += ` -p ${persistence}${mask === undefined ? '' : ` -M ${mask}`}`;
  }
  if (persistenceEngine !== '') text += ` --pe ${persistenceEngine}`;
  if (onePacket) text += ' -o';
  if (schedulerFlags !== 0) text += ` -b ${formatSchedulerFlags(schedulerFlags, scheduler)}`;
  if (proxyProtocol !== 'none') text += ` --proxy-protocol ${proxyProtocol}`;
  return text;
}

const forwardingOptions = { masq: '-m', gate: '-g', ipip: '-i', local: '-g' } as const;

function destinationArguments({ forwarding, weight, tunnel }: Destination): string {
  const text = ` ${forwardingOptions[forwarding]} -w ${weight}`;
  if (forwarding !== 'ipip') return text;
  const port = tunnel.type === 'gue' ? ` --tun-port ${tunnel.port}` : '';
  const checksum = tunnel.type === 'ipip' ? '' : ` --tun-${tunnel.checksum}`;
  return `${text} --tun-type ${tunnel.type}${port}${checksum}`;
}
