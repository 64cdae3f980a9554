/**
 * IP addresses as text. Everywhere above the data path an address is a canonical string (IPv4 dotted quad,
 * IPv6 as RFC 5952 writes it), so that two equal addresses are two equal strings and listings need no formatting.
 */
import { isIPv4, isIPv6 } from 'node:net';

export type Family = 'inet' | 'inet6';

/** Canonical text of an address; see {@link canonicalAddress}. */
export type Address = string;

export function familyOf(address: Address): Family {
  return address.includes(':') ? 'inet6' : 'inet';
}

/** Four network-order bytes of a dotted quad or sixteen of an IPv6 address. The text must be canonical. */
export function addressBytes(address: Address): Uint8Array {
  return familyOf(address) === 'inet' ? ipv4Bytes(address) : ipv6Bytes(address);
}

/** The canonical form of IPv4 or IPv6 text, or undefined when the text is neither. Zone ids are not accepted. */
export function canonicalAddress(text: string): Address | undefined {
  // leading zeros are no IPv4, so there is but one way to write it
  if (isIPv4(text)) return text;
  if (isIPv6(text) && !text.includes('%')) return formatAddress(ipv6Bytes(text));
  return undefined;
}

/** RFC 5952 text of 16 bytes, or a dotted quad of 4. Mapped addresses print as `::ffff:a.b.c.d`, as inet_ntop does. */
export function formatAddress(bytes: Uint8Array): Address {
  if (bytes.length === 4) return `${bytes[0] ?? 0}.${bytes[1] ?? 0}.${bytes[2] ?? 0}.${bytes[3] ?? 0}`;
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  const [start, length] = longestZeroRun(words);
  const dottedTail = start === 0 && (length === 6 || (length === 5 && words[5] === 0xffff));
  if (dottedTail) return `::${words[5] === 0xffff ? 'ffff:' : ''}${bytes.slice(12).join('.')}`;
  const hex = words.map((word) => word.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

/** `a.b.c.d:port` or `[v6]:port`, as ipvsadm and ldirectord print an endpoint. */
export function formatEndpoint(address: Address, port: number): string {
  return familyOf(address) === 'inet' ? `${address}:${port}` : `[${address}]:${port}`;
}

/** A dotted quad as a signed 32-bit number in host order. Without the arrays of {@link addressBytes}: tables are large. */
export function ipv4Word(address: Address): number {
  let word = 0;
  let byte = 0;
  for (let i = 0; i < address.length; i++) {
    const digit = address.charCodeAt(i) - 0x30;
    if (digit >= 0) byte = byte * 10 + digit;
    else {
      word = (word << 8) | byte;
      byte = 0;
    }
  }
  return (word << 8) | byte;
}

function ipv4Bytes(text: string): Uint8Array {
  const word = ipv4Word(text);
  return Uint8Array.of(word >>> 24, word >>> 16, word >>> 8, word);
}

function ipv6Bytes(text: string): Uint8Array {
  const [head = '', tail] = expandDottedTail(text).split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = tail === undefined ? [] : Array<string>(8 - left.length - right.length).fill('0');
  const bytes = new Uint8Array(16);
  [...left, ...middle, ...right].forEach((group, i) => {
    const word = Number.parseInt(group, 16);
    bytes[2 * i] = word >> 8;
    bytes[2 * i + 1] = word & 0xff;
  });
  return bytes;
}

function expandDottedTail(text: string): string {
  if (!text.includes('.')) return text;
  const cut = text.lastIndexOf(':') + 1;
  const [a = 0, b = 0, c = 0, d = 0] = ipv4Bytes(text.slice(cut));
  return `${text.slice(0, cut)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

function longestZeroRun(words: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  let start = 0;
  words.forEach((word, i) => {
    if (word !== 0) start = i + 1;
    else if (i + 1 - start > best[1]) best = [start, i + 1 - start];
  });
  return best;
}
