/** Names of hosts and services as this system knows them: the C resolver, and `/etc/services` read once. */
import { lookup, lookupService } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { canonicalAddress } from '../util/ip.ts';
import type { Names } from '../util/names.ts';

type Protocol = 'tcp' | 'udp' | 'sctp';

/** For systems without /etc/services: what configurations for virtual services name. */
const wellKnown = `
ftp 21/tcp
ssh 22/tcp
telnet 23/tcp
smtp 25/tcp mail
domain 53/tcp
domain 53/udp
tftp 69/udp
http 80/tcp www
pop3 110/tcp pop-3
nntp 119/tcp
ntp 123/udp
imap2 143/tcp imap
snmp 161/udp
ldap 389/tcp
https 443/tcp
https 443/udp
syslog 514/udp
submission 587/tcp
ldaps 636/tcp
imaps 993/tcp
pop3s 995/tcp
radius 1812/udp
radius-acct 1813/udp
mysql 3306/tcp
postgresql 5432/tcp
sip 5060/tcp
sip 5060/udp
sip-tls 5061/tcp
http-alt 8080/tcp
`;

/** Ports by name and names by port; the first line of a name or port wins. */
interface Services {
  readonly ports: ReadonlyMap<string, number>;
  readonly names: ReadonlyMap<string, string>;
}

/** @param servicesFile for tests; a file that does not exist leaves the well-known names. */
export function systemNames(servicesFile = '/etc/services'): Names {
  let services: Services | undefined;
  const known = (): Services => (services ??= parseServices(readServices(servicesFile)));
  return {
    async address(host, family) {
      try {
        const { address } = await lookup(host, { family: family === 'inet' ? 4 : 6 });
        return canonicalAddress(address);
      } catch (error) {
        if (isUnresolved(error)) return undefined;
        throw error;
      }
    },
    async host(address) {
      try {
        const { hostname } = await lookupService(address, 0);
        return canonicalAddress(hostname) === undefined ? hostname : undefined;
      } catch (error) {
        if (isUnresolved(error)) return undefined;
        throw error;
      }
    },
    port: (service, protocol) => known().ports.get(keyOf(service, protocol)),
    service: (port, protocol) => known().names.get(keyOf(port, protocol)),
  };
}

function readServices(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return wellKnown;
    throw error;
  }
}

/** Lines `name port/protocol aliases... # comment` of services(5). */
function parseServices(text: string): Services {
  const ports = new Map<string, number>();
  const names = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [name, endpoint, ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    const [, port, protocol] = /^(\d+)\/(tcp|udp|sctp)$/.exec(endpoint ?? '') ?? [];
    if (name === undefined || port === undefined) continue;
    const byPort = keyOf(Number(port), protocol as Protocol);
    if (!names.has(byPort)) names.set(byPort, name);
    for (const each of [name, ...aliases]) {
      const byName = keyOf(each, protocol as Protocol);
      if (!ports.has(byName)) ports.set(byName, Number(port));
    }
  }
  return { ports, names };
}

function keyOf(what: string | number, protocol: Protocol): string {
  return `${what}/${protocol}`;
}

/** Every answer of the resolver other than an address, also "try again": the name is not known now. */
function isUnresolved(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && /^get(addr|name)info$/.test(String(error.syscall));
}
