/** `netmask=` of persistence: a dotted quad for IPv4, a prefix length for IPv6. */
import { addressBytes, canonicalAddress } from '../util/ip.ts';
import type { Family } from '../util/ip.ts';
import { Problem } from './diagnostic.ts';
import type { Parser } from './values.ts';

/** Every client on its own. */
export const wholeNetmask: Readonly<Record<Family, number>> = { inet: 0xffffffff, inet6: 128 };

/** A 32-bit host-order mask, or a prefix length 1..128. */
export function parseNetmask(family: Family): Parser<number> {
  return family === 'inet' ? dottedQuad : prefixLength;
}

function dottedQuad(text: string): number | Problem {
  const mask = /^[\d.]+$/.test(text) ? canonicalAddress(text) : undefined;
  if (mask !== undefined) return new DataView(addressBytes(mask).buffer).getUint32(0);
  return new Problem(
    'invalid netmask: dotted quad notation is required',
    'four numbers from 0 to 255, such as 255.255.255.0',
  );
}

function prefixLength(text: string): number | Problem {
  const length = /^\d+$/.test(text) ? Number(text) : 0;
  if (length >= 1 && length <= 128) return length;
  return new Problem(
    'invalid netmask: a prefix length between 1 and 128 is required',
    'a number from 1 to 128, such as 64',
  );
}
