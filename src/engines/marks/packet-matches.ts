/** Whether a packet fits the conditions of a rule. Hot path for packets that open connections: nothing is allocated. */
import type { IpPacket } from '../../wire/ip-packet.ts';
import type { MarkMatch, Range, Side, WordSpan } from './mark-matches.ts';

/** What rules look at; ports count only where hasPorts. */
export type MarkedPacket = Pick<
  IpPacket,
  'family' | 'protocol' | 'hasPorts' | 'sourcePort' | 'destinationPort' | 'sourceWord' | 'destinationWord'
>;

/** @param mark what the packet carries so far */
export function fits(match: MarkMatch, packet: MarkedPacket, interfaceName: string, mark: number): boolean {
  switch (match.kind) {
    case 'family':
      return packet.family === match.family;
    case 'protocols':
      return match.protocols.includes(packet.protocol) !== match.negated;
    case 'addresses':
      return isWithin(match.spans, packet, match.side) !== match.negated;
    case 'ports': {
      if (!packet.hasPorts) return false;
      const { side, ranges } = match;
      const found =
        (side !== 'destination' && isIn(ranges, packet.sourcePort)) ||
        (side !== 'source' && isIn(ranges, packet.destinationPort));
      return found !== match.negated;
    }
    case 'interfaces':
      return namesInterface(match, interfaceName) !== match.negated;
    case 'mark':
      return match.values.includes((mark & match.mask) >>> 0) !== match.negated;
  }
}

/** Without regard to a negation. */
export function namesInterface(
  { names, beginnings }: Extract<MarkMatch, { kind: 'interfaces' }>,
  interfaceName: string,
): boolean {
  if (names.includes(interfaceName)) return true;
  for (const beginning of beginnings) if (interfaceName.startsWith(beginning)) return true;
  return false;
}

function isIn(ranges: readonly Range<number>[], port: number): boolean {
  for (const range of ranges) if (port >= range[0] && port <= range[1]) return true;
  return false;
}

function isWithin(spans: readonly WordSpan[], packet: MarkedPacket, side: Side): boolean {
  for (const span of spans) {
    const found =
      'mask' in span
        ? isUnder(span.address, span.mask, packet, side)
        : compare(packet, side, span.from) >= 0 && compare(packet, side, span.to) <= 0;
    if (found) return true;
  }
  return false;
}

function isUnder(address: Int32Array, mask: Int32Array, packet: MarkedPacket, side: Side): boolean {
  for (let i = 0; i < 4; i++) if ((word(packet, side, i) & (mask[i] ?? 0)) !== address[i]) return false;
  return true;
}

function word(packet: MarkedPacket, side: Side, i: number): number {
  return side === 'source' ? packet.sourceWord(i) : packet.destinationWord(i);
}

function compare(packet: MarkedPacket, side: Side, words: Int32Array): number {
  for (let i = 0; i < 4; i++) {
    const mine = word(packet, side, i) >>> 0;
    const other = (words[i] ?? 0) >>> 0;
    if (mine !== other) return mine < other ? -1 : 1;
  }
  return 0;
}
