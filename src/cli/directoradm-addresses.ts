/**
 * Numbers and addresses as ipvsadm reads them: strtol's numbers, inet_aton's IPv4 (`10.1` is 10.0.0.1), bracketed IPv6
 * with a port, host and service names.
 */
import type { Protocol } from '../director/table.ts';
import type { Address } from '../util/ip.ts';
import { canonicalAddress, familyOf } from '../util/ip.ts';
import type { Names } from '../util/names.ts';

/** Where names are looked up, loaded only when one is needed. */
export type NamesSource = () => Promise<Names>;

export interface Endpoint {
  readonly address: Address;
  /** Undefined when the text had none. */
  readonly port: number | undefined;
}

/** A decimal number as strtol reads it (blanks and a sign before it are fine), undefined outside the range. */
export function parseNumber(text: string, min: number, max: number): number | undefined {
  if (!/^\s*[+-]?[0-9]+$/.test(text)) return undefined;
  const value = Number(text);
  // The sum makes 0 of -0.
  return value >= min && value <= max ? value + 0 : undefined;
}

/**
 * `HOST[:PORT]`, or undefined when it is neither address nor name.
 * @param protocol whose service names the port may be; undefined when there are none
 */
export async function parseEndpoint(
  text: string,
  protocol: Protocol | undefined,
  names: NamesSource,
): Promise<Endpoint | undefined> {
  if (text.startsWith('[')) return parseBracketed(text, protocol, names);
  const bare = canonicalAddress(text);
  if (bare !== undefined && familyOf(bare) === 'inet6') return { address: bare, port: undefined };
  const colon = text.lastIndexOf(':');
  const host = colon === -1 ? text : text.slice(0, colon);
  if (colon === -1 && /^[0-9]+$/.test(host)) return undefined;
  const port = colon === -1 ? undefined : await parsePort(text.slice(colon + 1), protocol, names);
  if (colon !== -1 && port === undefined) return undefined;
  const address = await parseHost(host, names);
  return address === undefined ? undefined : { address, port };
}

/** IPv4 address of a number in any of inet_aton's forms, or of a name. */
export async function parseHost(host: string, names: NamesSource): Promise<Address | undefined> {
  const numeric = parseInetAton(host);
  if (numeric !== undefined) return numeric;
  if (host === '' || host.includes(':') || /^[0-9.]+$/.test(host)) return undefined;
  return (await names()).address(host, 'inet');
}

/** 32-bit host-order number of an IPv4 address. */
export function addressNumber(address: Address): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

async function parseBracketed(
  text: string,
  protocol: Protocol | undefined,
  names: NamesSource,
): Promise<Endpoint | undefined> {
  const [, inside = '', portText = ''] = /^\[([^\]]*)\]:(.*)$/.exec(text) ?? [];
  const address = canonicalAddress(inside);
  if (address === undefined || familyOf(address) === 'inet') return undefined;
  const port = await parsePort(portText, protocol, names);
  return port === undefined ? undefined : { address, port };
}

async function parsePort(
  text: string,
  protocol: Protocol | undefined,
  names: NamesSource,
): Promise<number | undefined> {
  const number = parseNumber(text, 0, 65535);
  if (number !== undefined || protocol === undefined || !/[a-z]/i.test(text)) return number;
  return (await names()).port(text, protocol);
}

/** One to four numbers, decimal, octal or hexadecimal; the last fills all bytes that are left. Blanks may follow. */
function parseInetAton(text: string): Address | undefined {
  const parts = text.trimEnd().split('.');
  if (parts.length > 4) return undefined;
  const numbers = parts.map(parseCNumber);
  const last = numbers.pop() ?? NaN;
  const free = 4 - numbers.length;
  if (!(last < 256 ** free) || !numbers.every((number) => number < 256)) return undefined;
  const tail = Array.from({ length: free }, (_, i) => Math.floor(last / 256 ** (free - 1 - i)) % 256);
  return [...numbers, ...tail].join('.');
}

function parseCNumber(text: string): number {
  if (/^0x[0-9a-f]+$/i.test(text)) return Number(text);
  if (/^0[0-7]*$/.test(text)) return Number.parseInt(text, 8);
  return /^[1-9][0-9]*$/.test(text) ? Number(text) : NaN;
}
