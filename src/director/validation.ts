/**
 * What IPVS refuses, and with which error number. Each function throws a {@link DirectorError} or lets pass; none
 * looks at the table, which is the director's part.
 */
import type { Address } from '../util/ip.ts';
import { addressBytes, familyOf } from '../util/ip.ts';
import { persistenceEngineNames, schedulerNames } from './schedulers.ts';
import type { DestinationId, DestinationSettings, ServiceId, ServiceSettings } from './table.ts';
import { destinationKey, serviceFamily, serviceKey } from './table.ts';
import { DirectorError } from './verbs.ts';

/** ENOENT for an unknown scheduler or persistence engine, EINVAL for a mark or mask that cannot be. */
export function checkService(id: ServiceId, settings: ServiceSettings): void {
  if (id.kind === 'fwmark' && id.mark === 0)
    throw new DirectorError('EINVAL', 'firewall mark 0 marks nothing');
  if (!schedulerNames.has(settings.scheduler)) {
    throw new DirectorError('ENOENT', `${serviceKey(id)}: no scheduler named ${settings.scheduler}`);
  }
  const engine = settings.persistenceEngine;
  if (engine !== '' && !persistenceEngineNames.has(engine)) {
    throw new DirectorError('ENOENT', `${serviceKey(id)}: no persistence engine named ${engine}`);
  }
  if (serviceFamily(id) === 'inet6' && (settings.netmask < 1 || settings.netmask > 128)) {
    throw new DirectorError('EINVAL', `${serviceKey(id)}: IPv6 mask ${settings.netmask} is not 1..128`);
  }
}

/** ERANGE for weight and thresholds, EINVAL for a tunnel that cannot be. */
export function checkDestinationSettings(id: DestinationId, settings: DestinationSettings): void {
  const name = destinationKey(id);
  if (settings.weight < 0 || settings.weight > 0x7fffffff) {
    throw new DirectorError('ERANGE', `${name}: weight ${settings.weight} is not 0..2147483647`);
  }
  if (settings.lowerThreshold > settings.upperThreshold) {
    throw new DirectorError(
      'ERANGE',
      `${name}: lower threshold ${settings.lowerThreshold} is above the upper threshold ${settings.upperThreshold}`,
    );
  }
  if (settings.forwarding === 'ipip' && settings.tunnel.type === 'gue' && settings.tunnel.port === 0) {
    throw new DirectorError('EINVAL', `${name}: a gue tunnel needs a port`);
  }
}

/** EINVAL for a destination of the other family that is not behind a tunnel. */
export function checkFamily(service: ServiceId, id: DestinationId, settings: DestinationSettings): void {
  if (isMixed(service, id) && settings.forwarding !== 'ipip') {
    throw new DirectorError(
      'EINVAL',
      `${destinationKey(id)}: behind ${serviceKey(service)} another address family needs ipip`,
    );
  }
}

/**
 * EINVAL unless packets can be sent to the address.
 * @param isBroadcast whether a network of this host has it as its broadcast address
 */
export function checkUnicast(id: DestinationId, isBroadcast: (address: Address) => boolean): void {
  if (!isUnicast(id.address) || isBroadcast(id.address))
    throw new DirectorError('EINVAL', `${id.address} is not a unicast address`);
}

/** Whether service and destination are of different address families. */
export function isMixed(service: ServiceId, id: DestinationId): boolean {
  return familyOf(id.address) !== serviceFamily(service);
}

/**
 * IPv4: anything but 0.0.0.0, multicast and broadcast. IPv6: anything but ::, multicast, link-local and mapped IPv4.
 */
function isUnicast(address: Address): boolean {
  const bytes = addressBytes(address);
  const [first = 0, second = 0] = bytes;
  if (familyOf(address) === 'inet') {
    return address !== '0.0.0.0' && address !== '255.255.255.255' && (first & 0xf0) !== 0xe0;
  }
  const linkLocal = first === 0xfe && (second & 0xc0) === 0x80;
  const mapped = address.startsWith('::ffff:') && address.includes('.');
  return address !== '::' && first !== 0xff && !linkLocal && !mapped;
}
