/** The rows of a thread's connection table and of its persistence templates, for listings. */
import { ConnectionKey } from '../../connections/connection-key.ts';
import type { ConnectionTable } from '../../connections/connection-table.ts';
import { stateName } from '../../connections/tcp-states.ts';
import * as c from '../../platform/libc.ts';
import type { ConnectionEntry } from '../engine.ts';
import { wordsToAddress } from './socket-address.ts';
import type { ThreadContext } from './thread-context.ts';

export function connectionEntries(thread: ThreadContext): ConnectionEntry[] {
  const { table, templates } = thread;
  return [
    ...rows(thread, templates.table, (slot) => templates.stateName(slot)),
    ...rows(thread, table, (slot) => stateName(table.protocol(slot), table.state(slot))),
  ];
}

function rows(
  { pool, loop }: ThreadContext,
  table: ConnectionTable,
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
      protocol: key.protocol === c.IPPROTO_TCP ? 'tcp' : 'udp',
      state: state(slot),
      expires: table.expires(slot, loop.now),
      client: key.clientAddress(),
      clientPort: key.clientPort,
      virtual: key.virtualAddress(),
      virtualPort: key.virtualPort,
      destination: wordsToAddress(words, pool.family(destination) === 4 ? 'inet' : 'inet6'),
      destinationPort: pool.port(destination),
    });
  });
  return entries;
}
