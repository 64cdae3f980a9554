/** The names that the recorded configurations use, without a resolver. */
import type { Names } from '../../src/util/names.ts';

const hosts: ReadonlyMap<string, string> = new Map([
  ['localhost inet', '127.0.0.1'],
  ['localhost inet6', '::1'],
  ['ip6-localhost inet6', '::1'],
  ['rs1 inet', '10.2.0.11'],
  ['rs2 inet', '10.2.0.12'],
  ['rs3 inet', '10.2.0.13'],
  ['rs1v6 inet6', '2001:db8::11'],
  ['vip.example.com inet', '10.1.0.100'],
  ['vip6.example.com inet6', '2001:db8::100'],
]);

const services: ReadonlyMap<string, number> = new Map([
  ['ftp/tcp', 21],
  ['ssh/tcp', 22],
  ['smtp/tcp', 25],
  ['domain/tcp', 53],
  ['domain/udp', 53],
  ['tftp/udp', 69],
  ['http/tcp', 80],
  ['ntp/udp', 123],
  ['https/tcp', 443],
  ['https/udp', 443],
  ['domain-s/tcp', 853],
  ['sip/tcp', 5060],
  ['sip/udp', 5060],
  ['http-alt/tcp', 8080],
]);

export const fakeNames: Names = {
  address: (host, family) => Promise.resolve(hosts.get(`${host.toLowerCase()} ${family}`)),
  host: () => Promise.resolve(undefined),
  port: (service, protocol) => services.get(`${service}/${protocol}`),
  service: () => undefined,
};
