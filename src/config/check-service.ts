/** The services that a negotiate check speaks, and the ports they are known by. */
import { Problem } from './diagnostic.ts';
import type { CheckService, CheckSettings } from './model.ts';

/** In the order of ldirectord's own message. */
const services: readonly CheckService[] = [
  'dns',
  'ftp',
  'http',
  'https',
  'http_proxy',
  'imap',
  'imaps',
  'ldap',
  'ldaps',
  'mysql',
  'nntp',
  'none',
  'oracle',
  'pop',
  'pops',
  'radius',
  'pgsql',
  'simpletcp',
  'sip',
  'smtp',
  'submission',
];

const ports: readonly (readonly [CheckService, number])[] = [
  ['ftp', 21],
  ['smtp', 25],
  ['dns', 53],
  ['http', 80],
  ['pop', 110],
  ['nntp', 119],
  ['imap', 143],
  ['ldap', 389],
  ['https', 443],
  ['submission', 587],
  ['ldaps', 636],
  ['imaps', 993],
  ['pops', 995],
  ['oracle', 1521],
  ['radius', 1812],
  ['http_proxy', 3128],
  ['mysql', 3306],
  ['sip', 5060],
  ['pgsql', 5432],
];

/** First word of the value. */
export function parseService(text: string): CheckService | Problem {
  const word = /\w+/.exec(text)?.[0];
  return (
    services.find((service) => service === word) ??
    new Problem(
      `service must be ${services.slice(0, -1).join(', ')} or ${services.at(-1) ?? ''}`,
      'one of these, in lower case',
    )
  );
}

/** What a virtual service on this port is checked as when the file does not say. */
export function serviceOfPort(port: number): CheckService {
  return ports.find(([, known]) => known === port)?.[0] ?? 'none';
}

/** Where a check goes when neither checkport nor the real server has a port; 0 if nobody knows. */
export function portOfService(service: CheckService): number {
  return ports.find(([known]) => known === service)?.[1] ?? 0;
}

/** What ldirectord verifies of a certificate: the chain for https, the name too for mail, nothing for ldaps. */
export function defaultTlsVerify(service: CheckService): CheckSettings['tlsverify'] {
  if (service === 'pops' || service === 'imaps') return 'full';
  return service === 'ldaps' || isDatabase(service) ? 'none' : 'chain';
}

/** These take TLS where the server has it, and never look at its certificate. */
export function isDatabase(service: CheckService): boolean {
  return service === 'mysql' || service === 'pgsql' || service === 'oracle';
}
