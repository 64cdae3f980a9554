/** Addresses and ports of configuration lines: literal, in the old short forms of inet_aton, or by name. */
import type { Names } from '../util/names.ts';
import type { Address, Family } from '../util/ip.ts';
import { canonicalAddress, familyOf, formatAddress } from '../util/ip.ts';

const maxPort = 65535;

/** The address of a literal or name, or undefined. IPv6 literals may stand in brackets. */
export async function resolveHost(text: string, family: Family, names: Names): Promise<Address | undefined> {
  const bare = /^\[(.*)\]$/s.exec(text)?.[1] ?? text;
  const literal = canonicalAddress(bare);
  if (literal !== undefined) return familyOf(literal) === family ? literal : undefined;
  const short = shortAddress(bare);
  if (short !== undefined) return family === 'inet' ? short : undefined;
  return /^[\w.+-]+$/.test(bare) ? names.address(bare, family) : undefined;
}

/**
 * What inet_aton makes of one to four numbers with dots, decimal, 0octal or 0xhex: `5` is 0.0.0.5, `1.2.3` is 1.2.0.3.
 * The resolver under ldirectord reads them so; nearly always they are a slip, which is why callers warn.
 */
export function shortAddress(text: string): Address | undefined {
  const parts = text.split('.').map(numericPart);
  if (parts.length > 4) return undefined;
  let value = 0;
  for (const [i, part] of parts.entries()) {
    const bytes = i === parts.length - 1 ? 4 - i : 1;
    if (part === undefined || part >= 256 ** bytes) return undefined;
    value = value * 256 ** bytes + part;
  }
  return formatAddress(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
}

function numericPart(text: string): number | undefined {
  if (/^(?:0|[1-9]\d*)$/.test(text)) return Number(text);
  if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8);
  if (/^0[xX][0-9a-fA-F]+$/.test(text)) return Number.parseInt(text.slice(2), 16);
  return undefined;
}

/** A port number 0..65535, or a service name known for one of these protocols (tried in this order). */
export function resolvePort(
  text: string,
  protocols: readonly ('tcp' | 'udp')[],
  names: Names,
): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) <= maxPort ? Number(text) : undefined;
  for (const protocol of protocols) {
    const port = names.port(text, protocol);
    if (port !== undefined) return port;
  }
  return undefined;
}
