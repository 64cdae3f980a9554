/** Conditions over addresses, ports and words, as both iptables and nft ask them. */
import type { Address } from '../../../util/ip.ts';
import { canonicalAddress, familyOf } from '../../../util/ip.ts';
import { isWithin } from '../network.ts';
import type { Condition, Field } from './rules.ts';

/** A question that nobody here can answer. */
export const unknown: Condition = { field: undefined, negated: false, matches: () => true };

/** @param words of which one must be the packet's */
export function isOneOf(field: Field, words: readonly string[], negated: boolean): Condition {
  return { field, negated, matches: (value) => words.includes(value) };
}

/** @param networks `10.1.0.0/16`, or an address alone */
export function isInside(field: Field, networks: readonly string[], negated: boolean): Condition {
  const known = networks.flatMap((network) => {
    const [text = '', prefix] = network.split('/');
    const address = canonicalAddress(text);
    if (address === undefined) return [];
    return [{ address, prefix: Number(prefix ?? (familyOf(address) === 'inet' ? 32 : 128)) }];
  });
  // A name, or a mask that is no prefix.
  if (known.length < networks.length || known.some(({ prefix }) => Number.isNaN(prefix))) return unknown;
  const matches = (value: Address): boolean =>
    known.some(({ address, prefix }) => isWithin(value, address, prefix));
  return { field, negated, matches };
}

/** @param ranges `80`, or `8000:8080` */
export function isPort(field: Field, ranges: readonly string[], negated: boolean): Condition {
  const bounds = ranges.map((range) => range.split(/[:-]/).map(Number));
  if (bounds.flat().some(Number.isNaN)) return unknown;
  return {
    field,
    negated,
    matches: (value) => bounds.some(([from = 0, to = from]) => Number(value) >= from && Number(value) <= to),
  };
}

/** `eth+` of iptables and `eth*` of nft are every interface whose name begins so. */
export function isInterface(field: Field, name: string, negated: boolean): Condition {
  const start = /^(.*)[+*]$/.exec(name)?.[1];
  return {
    field,
    negated,
    matches: (value) => (start === undefined ? value === name : value.startsWith(start)),
  };
}
