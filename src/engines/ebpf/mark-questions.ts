/** The conditions of rules that set firewall marks, as the BPF programs ask for them: eight words that marks.h understands. */
import type { MarkMatch, WordSpan } from '../marks/mark-matches.ts';
import { namesInterface } from '../marks/packet-matches.ts';
import { MarkRuleKind, MarkRuleSide } from './layout.ts';

export interface NamedInterface {
  readonly index: number;
  readonly name: string;
}

export interface MarkQuestion {
  readonly kind: number;
  readonly sides: number;
  /** Eight. */
  readonly words: readonly number[];
}

/** The mark becomes what it was, with the bits of `keep` only, and those of `flip` turned over. */
export function setMark(keep: number, flip: number): MarkQuestion {
  return question(MarkRuleKind.set, [keep, flip, ...zeros(6)]);
}

/** Whether no packet of this family fits, whatever it is. */
export function cannotFit(match: MarkMatch, family: 4 | 6, interfaces: readonly NamedInterface[]): boolean {
  if (match.kind === 'family') return match.family !== family;
  return match.kind === 'interfaces' && !match.negated && indexes(match, interfaces).length === 0;
}

/** The packet fits, but for a negation, when the answer to any of these is yes. */
export function questionsOf(
  match: Exclude<MarkMatch, { kind: 'family' }>,
  family: 4 | 6,
  interfaces: readonly NamedInterface[],
): readonly MarkQuestion[] {
  switch (match.kind) {
    case 'protocols':
      return [question(MarkRuleKind.protocols, bits(match.protocols))];
    case 'addresses':
      return family === 4 ? addresses4(match) : addresses6(match);
    case 'ports':
      return groups(match.ranges, 8).map((ranges) =>
        question(MarkRuleKind.ports, filled(ranges.map(([from, to]) => from | (to << 16))), sidesOf(match)),
      );
    case 'interfaces':
      return groups(indexes(match, interfaces), 8).map((group) =>
        question(MarkRuleKind.interfaces, filled(group)),
      );
    case 'mark':
      return groups(match.values, 7).map((values) =>
        question(MarkRuleKind.is, [match.mask, ...filled(values, 7)]),
      );
  }
}

type Addresses = Extract<MarkMatch, { kind: 'addresses' }>;

function addresses4(match: Addresses): readonly MarkQuestion[] {
  const pairs = match.spans.map((span) =>
    'mask' in span
      ? ([MarkRuleKind.networks4, [wire(span.address[0]), wire(span.mask[0])]] as const)
      : ([MarkRuleKind.spans4, [span.from[0] ?? 0, span.to[0] ?? 0]] as const),
  );
  return [MarkRuleKind.networks4, MarkRuleKind.spans4].flatMap((kind) => {
    const ofKind = pairs.filter(([pairKind]) => pairKind === kind).map(([, words]) => words);
    return groups(ofKind, 4).map((group) => question(kind, filled(group, 4).flat(), sidesOf(match)));
  });
}

function addresses6(match: Addresses): readonly MarkQuestion[] {
  const words = (span: WordSpan): readonly number[] =>
    'mask' in span ? [...span.address, ...span.mask].map(wire) : [...span.from, ...span.to];
  return match.spans.map((span) =>
    question('mask' in span ? MarkRuleKind.network6 : MarkRuleKind.span6, words(span), sidesOf(match)),
  );
}

function sidesOf({ side }: { readonly side: 'source' | 'destination' | 'either' }): number {
  return (side === 'destination' ? 0 : MarkRuleSide.source) | (side === 'source' ? 0 : MarkRuleSide.target);
}

function indexes(
  match: Extract<MarkMatch, { kind: 'interfaces' }>,
  interfaces: readonly NamedInterface[],
): readonly number[] {
  return interfaces.filter(({ name }) => namesInterface(match, name)).map(({ index }) => index);
}

function question(kind: number, words: readonly number[], sides = 0): MarkQuestion {
  return { kind, sides, words };
}

/** A word in host order, as a program finds it in a packet. */
function wire(word = 0): number {
  return ((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

function bits(numbers: readonly number[]): readonly number[] {
  return zeros(8).map((_, word) =>
    numbers.reduce((set, number) => (number >> 5 === word ? set | (1 << (number & 31)) : set), 0),
  );
}

function groups<Item>(items: readonly Item[], size: number): readonly (readonly Item[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}

/** The last one over and over: it asks for nothing more. */
function filled<Item>(items: readonly Item[], length = 8): readonly Item[] {
  const last = items.at(-1);
  return last === undefined ? [] : Array.from({ length }, (_, i) => items[i] ?? last);
}

function zeros(length: number): number[] {
  return Array.from({ length }, () => 0);
}
