/**
 * Numbers and addresses as ipvsadm reads them: strtol's numbers, inet_aton's IPv4 (`10.1` is 10.0.0.1), bracketed IPv6
 * with a port, host and service names.
 */
import { isIPv4 } from 'node:net';
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
  if (!/^[ \t\n\v\f\r]*[+-]?[0-9]+$/.test(text)) return undefined;
  const value = Number(text);
  // The sum makes 0 of -0.
  return value >= min && value <= max ? value + 0 : undefined;
}

/** The decimal number that the text begins with, as atoi reads it: 32 of strtol's 64 bits, 0 when there is none. */
export function leadingNumber(text: string): number {
  const [, sign = '', digits = '0'] = /^[ \t\n\v\f\r]*([+-]?)([0-9]+)/.exec(text) ?? [];
  const [least, most] = [-(2n ** 63n), 2n ** 63n - 1n];
  const value = BigInt(digits) * (sign === '-' ? -1n : 1n);
  return Number(BigInt.asIntN(32, value < least ? least : value > most ? most : value));
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
  return /^[0-9]+$/.test(text) ? undefined : parseUnbracketed(text, protocol, names);
}

async function parseUnbracketed(
  text: string,
  protocol: Protocol | undefined,
  names: NamesSource,
): Promise<Endpoint | undefined> {
  const colon = text.lastIndexOf(':');
  const host = colon === -1 ? text : text.slice(0, colon);
  const port = colon === -1 ? undefined : await parsePort(text.slice(colon + 1), protocol, names);
  if (colon !== -1 && port === undefined) return undefined;
  const address = await parseHost(host, names);
  return address === undefined ? undefined : { address, port };
}

/** IPv4 address of a number in any of inet_aton's forms, or of a name. */
export async function parseHost(host: string, names: NamesSource): Promise<Address | undefined> {
  const numeric = isIPv4(host) ? host : parseInetAton(host);
  if (numeric !== undefined) return numeric;
  if (host === '' || host.includes(':') || /^[0-9.]+$/.test(host)) return undefined;
  return (await names()).address(host, 'inet');
}

/** 32-bit host-order number of an IPv4 address. */
export function addressNumber(address: Address): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** What is not IPv6 may stand in brackets too, but then a port must be in them as well: one behind them is not looked at. */
async function parseBracketed(
  text: string,
  protocol: Protocol | undefined,
  names: NamesSource,
): Promise<Endpoint | undefined> {
  const [, inside, portText = ''] = /^\[([^\]]*)\]:(.*)$/s.exec(text) ?? [];
  if (inside === undefined) return undefined;
  const address = canonicalAddress(inside);
  if (address === undefined || familyOf(address) === 'inet') return parseUnbracketed(inside, protocol, names);
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

/** One to four numbers, decimal, octal or hexadecimal; the last fills all bytes that are left. Behind a blank all goes. */
function parseInetAton(text: string): Address | undefined {
  const [numeric = ''] = text.split(/[ \t\n\v\f\r]/, 1);
  const parts = numeric.split('.');
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
