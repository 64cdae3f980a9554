/**
 * The firewall marks of packets. They are set in the kernel, on its own copy of a packet, so they have to be worked out from the rules
 * that set them; rules that cannot be worked out are told, with the services that do not get traffic because of them.
 */
import type { PacketFilterText } from '../../../platform/packet-filter-text.ts';
import type { IpPacket } from '../../../wire/ip-packet.ts';
import type { GuardState } from '../../../platform/guard-state.ts';
import type { RefusedRule } from './mark-chain.ts';
import { MarkRules } from './mark-rules.ts';
import { packetFilterMarks } from './packet-filter-marks.ts';

export class Marks {
  #rules = new MarkRules([]);
  #told = new Set<string>();
  readonly #problem: (message: string) => void;

  constructor(problem: (message: string) => void) {
    this.#problem = problem;
  }

  /** Hot path for packets that open connections. */
  of(packet: IpPacket, interfaceName: string): number {
    return this.#rules.markOf(packet, interfaceName);
  }

  /** Reads the rules as they are now; tells what is wrong with them for these services. */
  read(services: GuardState['marks'], text: PacketFilterText): void {
    const { rules, refused } = packetFilterMarks(text);
    this.#rules = rules;
    const told = new Set(services.flatMap((service) => complaints(service, rules, refused)));
    for (const message of told) if (!this.#told.has(message)) this.#problem(message);
    this.#told = told;
  }
}

function complaints(
  { family, mark }: GuardState['marks'][number],
  rules: MarkRules,
  refused: readonly RefusedRule[],
): string[] {
  const name = `${family === 4 ? 'fwm' : 'fwm6'}:${mark}`;
  const relevant = refused.filter(
    ({ families, mark: given }) => families.includes(family) && (given === undefined || given === mark),
  );
  if (relevant.length > 0) {
    return relevant.map(
      ({ rule, reason }) =>
        `${name} may miss packets: the packet engine cannot follow the rule '${rule}': ${reason}`,
    );
  }
  if (rules.canGive(family, mark)) return [];
  const command = family === 4 ? 'iptables' : 'ip6tables';
  return [
    `${name} gets no packets: no rule gives them the mark (such as ${command} -t mangle -A PREROUTING -d VIP -p tcp --dport 80 -j MARK --set-mark ${mark})`,
  ];
}
