/** The plainest service and server, so that a test says only what is special about its own. */
import type { AddressService, DestinationSettings, ServiceSettings } from '../../src/director/table.ts';
import { ipipTunnel } from '../../src/director/table.ts';

export const tcp80: AddressService = { kind: 'address', protocol: 'tcp', address: '10.1.0.100', port: 80 };

export const roundRobin: ServiceSettings = {
  scheduler: 'rr',
  schedulerFlags: 0,
  persistence: 0,
  netmask: 0xffffffff,
  persistenceEngine: '',
  onePacket: false,
  proxyProtocol: 'none',
};

export const masq: DestinationSettings = {
  forwarding: 'masq',
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
  tunnel: ipipTunnel,
};
