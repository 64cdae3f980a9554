/** The conditions of rules that set firewall marks, as predicates. Hot path: they allocate nothing when asked. */
import type { Address } from '../../../util/ip.ts';
import { addressWords } from '../../address-words.ts';
import type { MarkedPacket } from './mark-rules.ts';

/** @param mark what the packet carries so far */
export type MarkMatch = (packet: MarkedPacket, interfaceName: string, mark: number) => boolean;

export type Side = 'source' | 'destination';

/** From and to, both included. */
export type Range<Value> = readonly [from: Value, to: Value];

/** Addresses of one family under a mask, or a range of them. */
export type AddressSpan =
  { readonly address: Address; readonly mask: Int32Array } | { readonly from: Address; readonly to: Address };

export function matchFamily(family: 4 | 6): MarkMatch {
  return (packet) => packet.family === family;
}

export function matchProtocols(protocols: readonly number[], negated: boolean): MarkMatch {
  return (packet) => protocols.includes(packet.protocol) !== negated;
}

/** The packet's family is the spans'. */
export function matchAddresses(side: Side, spans: readonly AddressSpan[], negated: boolean): MarkMatch {
  const contains = spans.map((span) => ('mask' in span ? underMask(side, span) : between(side, span)));
  return (packet) => {
    for (const one of contains) if (one(packet)) return !negated;
    return negated;
  };
}

/** A packet without ports (a later fragment) matches neither a port nor its negation. */
export function matchPorts(
  side: Side | 'either',
  ranges: readonly Range<number>[],
  negated: boolean,
): MarkMatch {
  const has = (port: number): boolean => {
    for (const [from, to] of ranges) if (port >= from && port <= to) return true;
    return false;
  };
  return (packet) => {
    if (!packet.hasPorts) return false;
    const found =
      (side !== 'destination' && has(packet.sourcePort)) ||
      (side !== 'source' && has(packet.destinationPort));
    return found !== negated;
  };
}

/** @param suffix of a name that stands for all names with that beginning: `+` of iptables, `*` of nft */
export function matchInterfaces(names: readonly string[], suffix: '+' | '*', negated: boolean): MarkMatch {
  const exact = names.filter((name) => !name.endsWith(suffix));
  const beginnings = names.filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -1));
  return (_packet, interfaceName) => {
    if (exact.includes(interfaceName)) return !negated;
    for (const beginning of beginnings) if (interfaceName.startsWith(beginning)) return !negated;
    return negated;
  };
}

export function matchMark(values: readonly number[], mask: number, negated: boolean): MarkMatch {
  return (_packet, _interfaceName, mark) => values.includes((mark & mask) >>> 0) !== negated;
}

/** Mask of a prefix length; IPv4 in word 0, like every address. */
export function prefixMask(length: number): Int32Array {
  return Int32Array.from({ length: 4 }, (_, i) => {
    const bits = Math.min(32, Math.max(0, length - 32 * i));
    return bits === 0 ? 0 : -1 << (32 - bits);
  });
}

function word(packet: MarkedPacket, side: Side, i: number): number {
  return side === 'source' ? packet.sourceWord(i) : packet.destinationWord(i);
}

function underMask(
  side: Side,
  { address, mask }: { readonly address: Address; readonly mask: Int32Array },
): (packet: MarkedPacket) => boolean {
  const { words } = addressWords(address);
  const wanted = words.map((value, i) => value & (mask[i] ?? 0));
  return (packet) => {
    for (let i = 0; i < 4; i++) if ((word(packet, side, i) & (mask[i] ?? 0)) !== wanted[i]) return false;
    return true;
  };
}

function between(
  side: Side,
  { from, to }: { readonly from: Address; readonly to: Address },
): (packet: MarkedPacket) => boolean {
  const [low, high] = [addressWords(from).words, addressWords(to).words];
  return (packet) => compare(packet, side, low) >= 0 && compare(packet, side, high) <= 0;
}

function compare(packet: MarkedPacket, side: Side, words: Int32Array): number {
  for (let i = 0; i < 4; i++) {
    const [mine, other] = [word(packet, side, i) >>> 0, (words[i] ?? 0) >>> 0];
    if (mine !== other) return mine < other ? -1 : 1;
  }
  return 0;
}
