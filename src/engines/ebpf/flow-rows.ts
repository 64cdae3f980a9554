/**
 * The connections and persistence templates in the tables of the BPF programs, read from their memory for listings. A part looks at so
 * many slots at most, since a big table is mostly empty.
 */
import { TCP, UDP } from '../../connections/protocols.ts';
import { stateName, TcpState } from '../../connections/tcp-states.ts';
import type { Pool } from '../../scheduling/pool.ts';
import type { Address } from '../../util/ip.ts';
import { wordsAddress } from '../address-words.ts';
import type { ConnectionPart } from '../child-protocol.ts';
import type { ConnectionEntry } from '../engine.ts';
import { Flow, Flow6, FlowFlag, indexMask, Life, noSlot } from './layout.ts';
import type { DataOf } from './template-data.ts';
import { secondsOf, ticksBetween, ticksOf } from './ticks.ts';

/** Rows and slots of a part: some milliseconds of work. */
const rowsOfPart = 2000;
const slotsOfPart = 2 ** 18;

/** A template that runs out while connections refer to it lives on for so many ticks at a time. */
const prolongation = ticksOf(60);

export type FlowArray = 'flows4' | 'halves4' | 'templates4' | 'flows6' | 'halves6' | 'templates6';

interface Table {
  readonly family: 4 | 6;
  readonly templates: boolean;
  readonly view: DataView;
  readonly bytes: number;
  readonly slots: number;
}

/** Templates first. */
const order: readonly FlowArray[] = ['templates4', 'templates6', 'flows4', 'halves4', 'flows6', 'halves6'];

export class FlowRows {
  readonly #pool: Pool;
  readonly #dataOf: DataOf;
  readonly #tables: readonly Table[];
  /** Where replies are, by family and by number of the table in references. */
  readonly #peers: Readonly<Record<4 | 6, readonly (Table | undefined)[]>>;
  readonly #words = new Int32Array(4);

  /** @param array memory of a table and how many slots it has @param dataOf templates that have data of a persistence engine */
  constructor(
    pool: Pool,
    array: (name: FlowArray) => { readonly memory: ArrayBuffer; readonly slots: number },
    dataOf: DataOf,
  ) {
    this.#pool = pool;
    this.#dataOf = dataOf;
    const tables = new Map(order.map((name) => [name, table(name, array(name))]));
    this.#tables = [...tables.values()];
    this.#peers = {
      4: [tables.get('flows4'), tables.get('halves4')],
      6: [tables.get('flows6'), tables.get('halves6')],
    };
  }

  /** @param now ticks, of the clock that the programs have */
  rows(now: number): ConnectionEntry[] {
    return [...this.part(now, 0, Infinity, Infinity).connections];
  }

  /**
   * The next few of them: what comes and goes between two parts may be in the list or not.
   * @param from where the part before ended, 0 for the first
   */
  part(now: number, from: number, most = rowsOfPart, mostSlots = slotsOfPart): ConnectionPart {
    const connections: ConnectionEntry[] = [];
    const until = from + mostSlots;
    let first = 0;
    for (const table of this.#tables) {
      for (let slot = Math.max(0, from - first); slot < table.slots; slot++) {
        if (connections.length === most || first + slot >= until) return { connections, next: first + slot };
        if (!this.#isListed(table, slot * table.bytes, now)) continue;
        const row = this.#row(table, slot * table.bytes, now);
        if (row !== undefined) connections.push(row);
      }
      first += table.slots;
    }
    return { connections };
  }

  /** Established TCP connections. */
  established(now: number): number {
    let count = 0;
    for (const table of [...this.#peers[4], ...this.#peers[6]]) {
      if (table === undefined) continue;
      const { view, bytes, slots } = table;
      for (let at = 0; at < slots * bytes; at += bytes)
        if (
          this.#isListed(table, at, now) &&
          view.getUint8(at + Flow.protocol) === TCP &&
          view.getUint8(at + Flow.state) === TcpState.established
        )
          count++;
    }
    return count;
  }

  /** The connection's own slot, not that of its replies, before its time is over. */
  #isListed(table: Table, at: number, now: number): boolean {
    const { view, templates } = table;
    if (view.getUint32(at + Flow.life, true) !== Life.live) return false;
    if ((view.getUint8(at + Flow.flags) & FlowFlag.reply) !== 0) return false;
    // one that connections refer to lives on
    if (templates && view.getUint32(at + Flow.newAddress, true) > 0) return true;
    return this.#ticksLeft(table, at, now) >= 0;
  }

  #ticksLeft(table: Table, at: number, now: number): number {
    const { view } = table;
    const timeout = view.getUint32(at + Flow.timeout, true);
    let idle = ticksBetween(view.getUint32(at + Flow.seen, true), now);
    const peer = this.#peer(table, at);
    if (peer !== undefined) idle = Math.min(idle, ticksBetween(peer, now));
    return timeout - idle;
  }

  /** When the last packet of the other direction came; undefined where there is none. */
  #peer({ view, family, templates }: Table, at: number): number | undefined {
    const reference = view.getUint32(at + Flow.peer, true);
    if (templates || reference === noSlot) return undefined;
    const table = this.#peers[family][reference >>> 30];
    const slot = reference & indexMask;
    return table === undefined || slot >= table.slots
      ? undefined
      : table.view.getUint32(slot * table.bytes + Flow.seen, true);
  }

  /** Undefined for a template that has just been made, or removed. */
  #row(table: Table, at: number, now: number): ConnectionEntry | undefined {
    const { view, templates, family, bytes } = table;
    // only templates with data of a persistence engine have a client's port
    const hasData = templates && view.getUint16(at + Flow.ports) !== 0;
    const data = hasData ? this.#dataOf(family, at / bytes) : undefined;
    if (hasData && data === undefined) return undefined;
    const protocol = view.getUint8(at + Flow.protocol);
    const assured = (view.getUint8(at + Flow.flags) & FlowFlag.assured) !== 0;
    const destination = view.getUint32(at + Flow.server, true);
    for (let word = 0; word < 4; word++) this.#words[word] = this.#pool.addressWord(destination, word);
    return {
      protocol: protocol === TCP ? 'tcp' : protocol === UDP ? 'udp' : 'ip',
      state: templates ? (assured ? 'ASSURED' : 'NONE') : stateName(protocol, view.getUint8(at + Flow.state)),
      expires: Math.floor(secondsOf(prolonged(this.#ticksLeft(table, at, now)))),
      client: data?.network ?? addressAt(table, at, 'source'),
      clientPort: templates ? 0 : view.getUint16(at + Flow.ports),
      virtual: addressAt(table, at, protocol === marked ? 'mark' : 'target'),
      virtualPort: view.getUint16(at + Flow.ports + 2),
      destination: wordsAddress(this.#words, this.#pool.family(destination)),
      destinationPort: view.getUint16(at + Flow.newPort),
      ...(data && { engineData: data.engineData }),
    };
  }
}

/** Templates of firewall marks belong to no transport protocol. */
const marked = 0;

const words = new Int32Array(4);

/** A firewall mark stands in place of the virtual address, in the machine's order. */
function addressAt({ view, family }: Table, at: number, which: 'source' | 'target' | 'mark'): Address {
  const field = which === 'source' ? 'source' : 'target';
  const first = at + (family === 4 ? Flow[field] : Flow6[field]);
  for (let word = 0; word < 4; word++)
    words[word] = family === 4 && word > 0 ? 0 : view.getInt32(first + 4 * word, which === 'mark');
  return wordsAddress(words, family);
}

/** What ran out and lives on has been given minutes since. */
function prolonged(ticksLeft: number): number {
  return ticksLeft < 0 ? (ticksLeft % prolongation) + prolongation : ticksLeft;
}

function table(name: FlowArray, { memory, slots }: { memory: ArrayBuffer; slots: number }): Table {
  const family = name.endsWith('4') ? 4 : 6;
  const bytes = family === 4 ? Flow.bytes : Flow6.bytes;
  return { family, templates: name.startsWith('templates'), view: new DataView(memory), bytes, slots };
}
