/**
 * Packet filter rules of iptables and nft in one form, and what becomes of a packet that walks through them. What a rule
 * asks that is not known of the packet, or not understood here, is answered with "maybe".
 */

export type Field =
  | 'family'
  | 'source'
  | 'destination'
  | 'protocol'
  | 'sourcePort'
  | 'destinationPort'
  | 'incoming'
  | 'outgoing'
  | 'state';

/** What is known of a packet; the family always is. */
export type Packet = Readonly<Partial<Record<Field, string>>>;

export interface Condition {
  /** Undefined: something that is not understood here. */
  readonly field: Field | undefined;
  readonly negated: boolean;
  readonly matches: (value: string) => boolean;
}

export type Verdict =
  | { readonly kind: 'accept' | 'drop' | 'return' | 'continue' | 'redirect' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string };

export interface Rule {
  readonly conditions: readonly Condition[];
  readonly verdict: Verdict;
  /** For people: `iptables -t filter: -A INPUT -p tcp -j DROP`. */
  readonly text: string;
  /** The command that removes it, where there is one. */
  readonly removal?: string;
}

export type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

export interface Chain {
  /** Program, family and table: chains know only those of their own. */
  readonly table: string;
  readonly families: readonly ('inet' | 'inet6')[];
  readonly name: string;
  /** Undefined: reached by jumps only. */
  readonly hook: Hook | undefined;
  readonly policy: 'accept' | 'drop';
  readonly rules: readonly Rule[];
}

export interface Drop {
  /** Nothing that is unknown could save the packet. */
  readonly certain: boolean;
  readonly by: Pick<Rule, 'text' | 'removal'>;
}

/** The first rule at these hooks that drops such a packet, certainly rather than perhaps; undefined when none does. */
export function dropOf(packet: Packet, chains: readonly Chain[], hooks: readonly Hook[]): Drop | undefined {
  const found = chains
    .filter(
      ({ hook, families }) =>
        hook !== undefined && hooks.includes(hook) && families.some((family) => family === packet['family']),
    )
    .flatMap((chain) => new Walk(packet, chains).through(chain) ?? []);
  return found.find(({ certain }) => certain) ?? found[0];
}

export function conditionsHold({ conditions }: Rule, packet: Packet): 'yes' | 'no' | 'maybe' {
  let answer: 'yes' | 'maybe' = 'yes';
  for (const { field, negated, matches } of conditions) {
    const value = field === undefined ? undefined : packet[field];
    if (value === undefined) answer = 'maybe';
    else if (matches(value) === negated) return 'no';
  }
  return answer;
}

class Walk {
  readonly #packet: Packet;
  readonly #chains: readonly Chain[];
  /** An earlier rule may have accepted the packet. */
  #saved = false;
  #drop: Drop | undefined;

  constructor(packet: Packet, chains: readonly Chain[]) {
    this.#packet = packet;
    this.#chains = chains;
  }

  through(base: Chain): Drop | undefined {
    const ended = this.#rules(base, false, []);
    if (!ended && base.policy === 'drop')
      this.#dropped({ text: `the policy of ${base.table} ${base.name}` }, false);
    return this.#drop;
  }

  /** @returns whether nothing comes after this chain */
  #rules(chain: Chain, perhaps: boolean, path: readonly Chain[]): boolean {
    for (const rule of chain.rules) {
      const holds = conditionsHold(rule, this.#packet);
      if (holds === 'no') continue;
      const maybe = perhaps || holds === 'maybe';
      const { verdict } = rule;
      switch (verdict.kind) {
        case 'continue':
          break;
        case 'return':
          if (holds === 'yes') return false;
          // What follows in this chain may be skipped.
          perhaps = true;
          break;
        case 'accept':
        case 'redirect':
          if (!maybe) return true;
          this.#saved = true;
          break;
        case 'drop':
          this.#dropped(rule, maybe);
          if (!maybe) return true;
          break;
        case 'jump':
        case 'goto': {
          const next = this.#chains.find(
            ({ table, name }) => table === chain.table && name === verdict.chain,
          );
          const loops = next === undefined || path.includes(next);
          const ended = !loops && this.#rules(next, maybe, [...path, chain]);
          if (ended && !maybe) return true;
          if (verdict.kind === 'goto' && holds === 'yes') return false;
        }
      }
    }
    return false;
  }

  #dropped(by: Drop['by'], maybe: boolean): void {
    const certain = !maybe && !this.#saved;
    if (this.#drop === undefined || (certain && !this.#drop.certain)) this.#drop = { certain, by };
  }
}
