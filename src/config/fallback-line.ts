/** `fallback=`: [HOST][:PORT] [gate|masq|ipip]. ldirectord looks at the last two words of the value only. */
import type { Names } from '../util/names.ts';
import type { Family } from '../util/ip.ts';
import { Problem } from './diagnostic.ts';
import type { Report } from './diagnostic.ts';
import type { FallbackDraft } from './draft.ts';
import { resolveHost, resolvePort } from './host.ts';
import type { Fallback, Position } from './model.ts';
import { parseForwarding } from './real-line.ts';

export function parseFallbackLine(value: string, at: Position): FallbackDraft | Problem {
  const words = value.split(/[ \t\r\f\v]+/).filter((word) => word !== '');
  const [server = '', method] = words.length < 2 ? words : words.slice(-2);
  const forwarding = method === undefined ? 'gate' : parseForwarding(method);
  if (forwarding instanceof Problem) return forwarding;
  const parts = /^(.*):([A-Za-z0-9_-]+)$/s.exec(server);
  const whole = parts === null || server.endsWith(']');
  return { at, host: whole ? server : (parts[1] ?? ''), port: whole ? undefined : parts[2], forwarding };
}

/**
 * Address and port of a fallback; port undefined when none is written. A service name must be known for every one of
 * `protocols`: a global fallback serves tcp and udp.
 */
export async function resolveFallback(
  draft: FallbackDraft,
  family: Family,
  protocols: readonly ('tcp' | 'udp')[],
  names: Names,
  report: Report,
): Promise<(Omit<Fallback, 'port'> & { readonly port: number | undefined }) | undefined> {
  const local = family === 'inet' ? '127.0.0.1' : '::1';
  const address = draft.host === '' ? local : await resolveHost(draft.host, family, names);
  if (address === undefined) {
    report.error(
      draft.at,
      `invalid ${family === 'inet' ? 'IPv4' : 'IPv6'} address or could not resolve for fallback server: ${draft.host}`,
      family === 'inet' ? 'an IPv4 address or a name that has one' : '[IPV6-ADDRESS] or a name that has one',
    );
    return undefined;
  }
  if (draft.port === undefined) return { address, port: undefined, forwarding: draft.forwarding };
  const ports = protocols.map((protocol) => resolvePort(draft.port ?? '', [protocol], names));
  const port = ports.length === 0 ? resolvePort(draft.port, [], names) : ports[0];
  if (port === undefined || ports.some((each) => each === undefined)) {
    const all = protocols.length === 0 ? '' : `, or the name of a service for ${protocols.join(' and ')}`;
    report.error(draft.at, 'invalid port for fallback server', `a number from 0 to 65535${all}`);
    return undefined;
  }
  return { address, port, forwarding: draft.forwarding };
}
