/** The rows of a connection table and of its persistence templates, for listings. */
import { ConnectionKey } from '../connections/connection-key.ts';
import type { ConnectionTable } from '../connections/connection-table.ts';
import { NO_SLOT } from '../connections/connection-table.ts';
import type { EngineData } from '../connections/engine-templates.ts';
import type { PersistenceTable } from '../connections/persistence.ts';
import { TCP, UDP } from '../connections/protocols.ts';
import { stateName } from '../connections/tcp-states.ts';
import type { Pool } from '../scheduling/pool.ts';
import { wordsAddress } from './address-words.ts';
import type { ConnectionPart } from './child-protocol.ts';
import type { ConnectionEntry } from './engine.ts';

const SCTP = 132;

/** Rows of a part: some milliseconds of work. */
const rowsOfPart = 2000;
/** Where a part may begin: the slot of a template, or so much more than the slot of a connection. */
const firstConnection = 2 ** 24;

/** Templates first. @param now milliseconds */
export function connectionRows(
  pool: Pool,
  table: ConnectionTable,
  templates: PersistenceTable,
  now: number,
): ConnectionEntry[] {
  return [...connectionPart(pool, table, templates, now, 0, Infinity).connections];
}

/**
 * The next few of them: what comes and goes between two parts may be in the list or not.
 * @param from where the part before ended, 0 for the first
 */
export function connectionPart(
  pool: Pool,
  table: ConnectionTable,
  templates: PersistenceTable,
  now: number,
  from: number,
  most = rowsOfPart,
): ConnectionPart {
  const connections: ConnectionEntry[] = [];
  const tables = [
    {
      table: templates.table,
      first: 0,
      state: (slot: number) => templates.stateName(slot),
      data: (slot: number) => templates.engineData(slot),
    },
    {
      table,
      first: firstConnection,
      state: (slot: number) => stateName(table.protocol(slot), table.state(slot)),
    },
  ];
  for (const { table, first, state, data } of tables) {
    for (let slot = table.next(Math.max(0, from - first)); slot !== NO_SLOT; slot = table.next(slot + 1)) {
      if (connections.length === most) return { connections, next: first + slot };
      connections.push(row(pool, table, slot, state(slot), now, data?.(slot)));
    }
  }
  return { connections };
}

const key = new ConnectionKey();
const words = new Int32Array(4);

function row(
  pool: Pool,
  table: ConnectionTable,
  slot: number,
  state: string,
  now: number,
  data: EngineData | undefined,
): ConnectionEntry {
  table.key(slot, key);
  const destination = table.destination(slot);
  for (let word = 0; word < 4; word++) words[word] = pool.addressWord(destination, word);
  return {
    protocol: protocolName(key.protocol),
    state,
    expires: table.expires(slot, now),
    client: wordsAddress(key.client, key.family),
    clientPort: data === undefined ? key.clientPort : 0,
    virtual: wordsAddress(key.virtual, key.family),
    virtualPort: key.virtualPort,
    destination: wordsAddress(words, pool.family(destination)),
    destinationPort: table.destinationPort(slot),
    ...(data && { engineData: { engine: data.engine, data: data.data } }),
  };
}

/** Templates of firewall marks belong to no transport protocol. */
function protocolName(protocol: number): ConnectionEntry['protocol'] {
  if (protocol === TCP) return 'tcp';
  if (protocol === UDP) return 'udp';
  return protocol === SCTP ? 'sctp' : 'ip';
}
