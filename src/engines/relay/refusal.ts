/** What the relay cannot do, in words that name the directive and the engine that can. */
import type { DestinationSettings, ServiceId, ServiceSettings } from '../../director/table.ts';
import { schedulerIndex } from '../../scheduling/registry.ts';

const elsewhere = 'needs the packet engine';

/** Why the relay cannot forward for such a service, or to such a destination of it; undefined when it can. */
export function refusal(
  service: ServiceId,
  settings: ServiceSettings,
  destination?: DestinationSettings,
): string | undefined {
  if (destination !== undefined) return destinationRefusal(destination);
  if (service.kind === 'fwmark') {
    return `the relay engine listens on sockets and never sees firewall marks: fwmark ${service.mark} ${elsewhere}`;
  }
  if (service.protocol === 'sctp') {
    return 'the relay engine forwards tcp and udp only: no engine of this version forwards sctp';
  }
  if (service.port === 0) return `the relay engine cannot listen on every port: port 0 ${elsewhere}`;
  if (settings.onePacket) return `the relay engine keeps UDP flows together: ops ${elsewhere}`;
  if (schedulerIndex(settings.scheduler) === undefined) {
    return `scheduler ${settings.scheduler} is not in this version of directord`;
  }
  if (settings.persistenceEngine !== '') {
    return `the relay engine does not look into what it relays: persistence engine ${settings.persistenceEngine} ${elsewhere}`;
  }
  if (service.protocol === 'udp' && settings.proxyProtocol !== 'none') {
    return `the relay engine sends PROXY protocol headers on tcp only: write proxyprotocol=no for this udp service`;
  }
  return undefined;
}

const methods = {
  gate: 'direct routing (gate)',
  ipip: 'tunnelling (ipip)',
  local: 'local delivery (local)',
} as const;

function destinationRefusal(destination: DestinationSettings): string | undefined {
  if (destination.forwarding === 'masq') return undefined;
  return `the relay engine cannot do ${methods[destination.forwarding]}: write masq, or use the packet engine`;
}
