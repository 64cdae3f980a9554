/** What an engine that forwards packets as they are cannot do, in words that name the directive and the engine that can. */
import type { DestinationSettings, ServiceId, ServiceSettings } from '../director/table.ts';
import { schedulerIndex } from '../scheduling/registry.ts';

/** Why such an engine cannot forward for such a service, or to such a destination of it; undefined when it can. */
export function forwardingRefusal(
  engine: 'packet' | 'ebpf',
  service: ServiceId,
  settings: ServiceSettings,
  destination?: DestinationSettings,
): string | undefined {
  if (destination !== undefined) return undefined;
  if (service.kind === 'address' && service.protocol === 'sctp') {
    return `the ${engine} engine forwards tcp and udp only: no engine of this version forwards sctp`;
  }
  if (schedulerIndex(settings.scheduler) === undefined) {
    return `scheduler ${settings.scheduler} is not in this version of directord`;
  }
  if (settings.proxyProtocol !== 'none') {
    return `the ${engine} engine forwards packets as they are: proxyprotocol needs the relay engine`;
  }
  return undefined;
}
