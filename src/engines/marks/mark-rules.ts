/**
 * Which firewall mark a packet gets from the administrator's packet filter: engines meet packets before it, so fwmark
 * services need the rules themselves. The parsers (iptables-marks.ts, nft-marks.ts) read them, this evaluates them.
 */
import type { MarkChain, MarkRule } from './mark-chain.ts';
import type { MarkedPacket } from './packet-matches.ts';
import { fits } from './packet-matches.ts';

/** How the walk through a chain ended. */
const THROUGH = 0;
const ACCEPTED = 1;
const DROPPED = 2;

/** Hot path: markOf() allocates nothing. */
export class MarkRules {
  readonly #chains: Readonly<Record<4 | 6, readonly MarkChain[]>>;
  #mark = 0;

  /** @param chains the hooked chains of every source; they are asked in the order of their priorities */
  constructor(chains: readonly MarkChain[]) {
    const ordered = [...chains].sort((a, b) => a.priority - b.priority);
    const of = (family: 4 | 6): readonly MarkChain[] =>
      ordered.filter(({ families }) => families.includes(family));
    this.#chains = { 4: of(4), 6: of(6) };
  }

  /** The hooked chains that packets of this family pass, in their order. */
  chains(family: 4 | 6): readonly MarkChain[] {
    return this.#chains[family];
  }

  /**
   * @param interfaceName where the packet came in
   * @returns 0..4294967295; 0 is no mark, also for a packet that the rules drop
   */
  markOf(packet: MarkedPacket, interfaceName: string): number {
    this.#mark = 0;
    for (const chain of this.#chains[packet.family]) {
      if (this.#walk(chain.rules, packet, interfaceName) === DROPPED) return 0;
    }
    return this.#mark >>> 0;
  }

  /** Whether some rule can give packets of this family this mark; a rule that changes single bits could give any. */
  canGive(family: 4 | 6, mark: number): boolean {
    const gives = (rules: readonly MarkRule[], seen: Set<readonly MarkRule[]>): boolean => {
      if (seen.has(rules)) return false;
      seen.add(rules);
      return rules.some(({ action }) => {
        if (action.kind === 'mark') return action.keep !== 0 || action.flip >>> 0 === mark;
        return (action.kind === 'jump' || action.kind === 'goto') && gives(action.rules, seen);
      });
    };
    return this.#chains[family].some(({ rules }) => gives(rules, new Set()));
  }

  #walk(rules: readonly MarkRule[], packet: MarkedPacket, interfaceName: string): number {
    for (const { matches, action } of rules) {
      if (!this.#matches(matches, packet, interfaceName)) continue;
      switch (action.kind) {
        case 'mark':
          this.#mark = (this.#mark & action.keep) ^ action.flip;
          break;
        case 'jump': {
          const end = this.#walk(action.rules, packet, interfaceName);
          if (end !== THROUGH) return end;
          break;
        }
        case 'goto':
          return this.#walk(action.rules, packet, interfaceName);
        case 'return':
          return THROUGH;
        case 'accept':
          return ACCEPTED;
        case 'drop':
          return DROPPED;
      }
    }
    return THROUGH;
  }

  #matches(matches: MarkRule['matches'], packet: MarkedPacket, interfaceName: string): boolean {
    for (const match of matches) if (!fits(match, packet, interfaceName, this.#mark)) return false;
    return true;
  }
}
