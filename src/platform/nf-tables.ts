/**
 * What nf_tables itself says of its tables, asked through netlink in the network namespace of this thread. nft(8) asks for every element
 * of every set before it shows anything, which with large sets takes a second.
 */
import { failure, NetlinkSocket } from './netlink-socket.ts';
import type { Message } from './netlink-message.ts';
import type { TableFamily } from './nf-tables-message.ts';
import {
  countElements,
  NfMessageType,
  readChain,
  readGeneration,
  readRule,
  readTableComment,
  writeNfRequest,
} from './nf-tables-message.ts';

const NETLINK_NETFILTER = 12;
const ENOENT = 2;
const DUMP_ATTEMPTS = 5;

export interface ListedChain {
  /** Comments of its rules, empty where there is none. */
  readonly rules: readonly string[];
  /** Drops what no rule decides about. */
  readonly drops: boolean;
}

export class NfTables {
  readonly #socket = new NetlinkSocket(NETLINK_NETFILTER);

  /**
   * Grows by one with each transaction that somebody commits, in whatever table.
   * @throws when the kernel refuses, as all methods here do
   */
  generation(): number {
    const message = this.#socket.ask((into, sequence) =>
      writeNfRequest(into, sequence, { type: NfMessageType.getGeneration, dump: false }),
    );
    if (typeof message === 'number') throw failure('asking for the generation of nf_tables', message);
    const generation = readGeneration(this.#socket.view, message);
    if (generation === undefined) throw new Error('netlink: nf_tables told no generation');
    return generation;
  }

  /** @returns empty without a comment, undefined without the table */
  comment(family: TableFamily, table: string): string | undefined {
    const message = this.#socket.ask((into, sequence) =>
      writeNfRequest(into, sequence, { type: NfMessageType.getTable, dump: false, family }, table),
    );
    if (message === ENOENT) return undefined;
    if (typeof message === 'number') throw failure(`asking for the table ${table} of nf_tables`, message);
    return readTableComment(this.#socket.view, message);
  }

  chains(family: TableFamily, table: string): ReadonlyMap<string, ListedChain> {
    const { view } = this.#socket;
    const chains = this.#dump(NfMessageType.getChain, family, [table], (message) =>
      message.type === NfMessageType.newChain ? readChain(view, message) : undefined,
    );
    const rules = this.#dump(NfMessageType.getRule, family, [table], (message) =>
      message.type === NfMessageType.newRule ? readRule(view, message) : undefined,
    );
    // the kernel need not look at the name when it lists
    const found = new Map<string, { rules: string[]; drops: boolean }>();
    for (const { chain, drops, table: of } of chains)
      if (of === table) found.set(chain, { rules: [], drops });
    for (const { chain, comment, table: of } of rules)
      if (of === table) found.get(chain)?.rules.push(comment);
    return found;
  }

  /** How many a set has; it must exist. */
  elements(family: TableFamily, table: string, set: string): number {
    const { view } = this.#socket;
    return this.#dump(NfMessageType.getElements, family, [table, set], (message) =>
      message.type === NfMessageType.newElements ? countElements(view, message) : undefined,
    ).reduce((sum, count) => sum + count, 0);
  }

  close(): void {
    this.#socket.close();
  }

  #dump<T>(
    type: number,
    family: TableFamily,
    names: readonly string[],
    read: (message: Message) => T | undefined,
  ): readonly T[] {
    for (let attempt = 1; attempt <= DUMP_ATTEMPTS; attempt++) {
      const found: T[] = [];
      const interrupted = this.#socket.dump(
        (into, sequence) => writeNfRequest(into, sequence, { type, dump: true, family }, ...names),
        (message) => {
          const item = read(message);
          if (item !== undefined) found.push(item);
        },
      );
      if (!interrupted) return found;
    }
    throw new Error(`netlink: the tables of nf_tables changed each time that ${names.join(' ')} was listed`);
  }
}
