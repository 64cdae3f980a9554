/** The rows of a connection table and of its persistence templates, for listings. */
import { ConnectionKey } from '../connections/connection-key.ts';
import type { ConnectionTable } from '../connections/connection-table.ts';
import { NO_SLOT } from '../connections/connection-table.ts';
import type { PersistenceTable } from '../connections/persistence.ts';
import { TCP, UDP } from '../connections/protocols.ts';
import { stateName } from '../connections/tcp-states.ts';
import type { Pool } from '../scheduling/pool.ts';
import { wordsAddress } from './address-words.ts';
import type { ConnectionPart } from './child-protocol.ts';
import type { ConnectionEntry } from './engine.ts';

const SCTP = 132;

/** Templates first. @param now milliseconds */
export function connectionRows(
  pool: Pool,
  table: ConnectionTable,
  templates: PersistenceTable,
  now: number,
): ConnectionEntry[] {
  return [
    ...rows(pool, templates.table, now, (slot) => templates.stateName(slot)),
    ...rows(pool, table, now, (slot) => stateName(table.protocol(slot), table.state(slot))),
  ];
}

function rows(
  pool: Pool,
  table: ConnectionTable,
  now: number,
  state: (slot: number) => string,
): ConnectionEntry[] {
  const entries: ConnectionEntry[] = [];
  const key = new ConnectionKey();
  const words = new Int32Array(4);
  table.forEach((slot) => {
    table.key(slot, key);
    const destination = table.destination(slot);
    for (let word = 0; word < 4; word++) words[word] = pool.addressWord(destination, word);
    entries.push({
      protocol: protocolName(key.protocol),
      state: state(slot),
      expires: table.expires(slot, now),
      client: key.clientAddress(),
      clientPort: key.clientPort,
      virtual: key.virtualAddress(),
      virtualPort: key.virtualPort,
      destination: wordsAddress(words, pool.family(destination)),
      destinationPort: table.destinationPort(slot),
    });
  });
  return entries;
}

/** Templates of firewall marks belong to no transport protocol. */
function protocolName(protocol: number): ConnectionEntry['protocol'] {
  if (protocol === TCP) return 'tcp';
  if (protocol === UDP) return 'udp';
  return protocol === SCTP ? 'sctp' : 'ip';
}
