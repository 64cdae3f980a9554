/** The firewall marks of this host's whole packet filter: iptables, ip6tables and nft together. */
import type { PacketFilterText } from '../../platform/packet-filter-text.ts';
import { parseMarkRules } from './iptables-marks.ts';
import type { RefusedRule } from './mark-chain.ts';
import { MarkRules } from './mark-rules.ts';
import { parseNftMarkRules } from './nft-marks.ts';

export interface PacketFilterMarks {
  readonly rules: MarkRules;
  readonly refused: readonly RefusedRule[];
}

export function packetFilterMarks({ iptables, nft, iptablesTables }: PacketFilterText): PacketFilterMarks {
  const parsed = [
    ...iptables[4].map((text) => parseMarkRules(text, 4)),
    ...iptables[6].map((text) => parseMarkRules(text, 6)),
    ...(nft === undefined ? [] : [parseNftMarkRules(nft, iptablesTables)]),
  ];
  return {
    rules: new MarkRules(parsed.flatMap(({ rules }) => rules)),
    refused: parsed.flatMap(({ refused }) => refused),
  };
}
