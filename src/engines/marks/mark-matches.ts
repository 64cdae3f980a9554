/** The conditions of rules that set firewall marks, as data: the packet engine evaluates them, the ebpf engine translates them. */
import type { Address } from '../../util/ip.ts';
import { addressWords } from '../address-words.ts';

/** A negated one fits where it otherwise would not. */
export type MarkMatch =
  | { readonly kind: 'family'; readonly family: 4 | 6 }
  | { readonly kind: 'protocols'; readonly protocols: readonly number[]; readonly negated: boolean }
  /** The packet's family is the spans'. */
  | {
      readonly kind: 'addresses';
      readonly side: Side;
      readonly spans: readonly WordSpan[];
      readonly negated: boolean;
    }
  /** A packet without ports (a later fragment) matches neither a port nor its negation. */
  | {
      readonly kind: 'ports';
      readonly side: Side | 'either';
      readonly ranges: readonly Range<number>[];
      readonly negated: boolean;
    }
  /** By their whole names, or by how these begin. */
  | {
      readonly kind: 'interfaces';
      readonly names: readonly string[];
      readonly beginnings: readonly string[];
      readonly negated: boolean;
    }
  /** What the packet carries so far. */
  | {
      readonly kind: 'mark';
      readonly values: readonly number[];
      readonly mask: number;
      readonly negated: boolean;
    };

export type Side = 'source' | 'destination';

/** From and to, both included. */
export type Range<Value> = readonly [from: Value, to: Value];

/** Addresses of one family under a mask, or a range of them. */
export type AddressSpan =
  { readonly address: Address; readonly mask: Int32Array } | { readonly from: Address; readonly to: Address };

/** An {@link AddressSpan} in the words in which packets are compared; nothing is set in `address` that is not in `mask`. */
export type WordSpan =
  | { readonly address: Int32Array; readonly mask: Int32Array }
  | { readonly from: Int32Array; readonly to: Int32Array };

export function matchFamily(family: 4 | 6): MarkMatch {
  return { kind: 'family', family };
}

export function matchProtocols(protocols: readonly number[], negated: boolean): MarkMatch {
  return { kind: 'protocols', protocols, negated };
}

export function matchAddresses(side: Side, spans: readonly AddressSpan[], negated: boolean): MarkMatch {
  return { kind: 'addresses', side, spans: spans.map(inWords), negated };
}

export function matchPorts(
  side: Side | 'either',
  ranges: readonly Range<number>[],
  negated: boolean,
): MarkMatch {
  return { kind: 'ports', side, ranges, negated };
}

/** @param suffix of a name that stands for all names with that beginning: `+` of iptables, `*` of nft */
export function matchInterfaces(names: readonly string[], suffix: '+' | '*', negated: boolean): MarkMatch {
  return {
    kind: 'interfaces',
    names: names.filter((name) => !name.endsWith(suffix)),
    beginnings: names.filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -1)),
    negated,
  };
}

export function matchMark(values: readonly number[], mask: number, negated: boolean): MarkMatch {
  return { kind: 'mark', values, mask, negated };
}

/** Mask of a prefix length; IPv4 in word 0, like every address. */
export function prefixMask(length: number): Int32Array {
  return Int32Array.from({ length: 4 }, (_, i) => {
    const bits = Math.min(32, Math.max(0, length - 32 * i));
    return bits === 0 ? 0 : -1 << (32 - bits);
  });
}

function inWords(span: AddressSpan): WordSpan {
  if ('from' in span) return { from: addressWords(span.from).words, to: addressWords(span.to).words };
  const { mask } = span;
  return { address: addressWords(span.address).words.map((value, i) => value & (mask[i] ?? 0)), mask };
}
