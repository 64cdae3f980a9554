/** Readers of what a director reports beside its listings: totals and connections. */
import type { ConnectionEntry, Counters, TableFill } from '../engines/engine.ts';
import type { Statistics } from '../observe/statistics.ts';
import { address } from './read-table.ts';
import type { Reader } from './shape.ts';
import { expected, integer, object, oneOf, quantity, text } from './shape.ts';

const counters: Reader<Counters> = object({
  connections: quantity,
  inPackets: quantity,
  outPackets: quantity,
  inBytes: quantity,
  outBytes: quantity,
});

export const statistics: Reader<Statistics> = object({ totals: counters, rates: counters });

const port = integer(0, 65535);

const entry = object(
  {
    protocol: oneOf('tcp', 'udp', 'sctp', 'ip'),
    state: text(32),
    expires: quantity,
    client: address,
    clientPort: port,
    virtual: address,
    virtualPort: port,
    destination: address,
    destinationPort: port,
  },
  { engineData: object({ engine: text(16), data: text(255) }) },
);

export const connectionEntry: Reader<ConnectionEntry> = entry;

export const tableFill: Reader<TableFill> = object({
  family: (value: unknown) => (value === 4 || value === 6 ? value : expected('4 or 6')),
  table: oneOf('connections', 'half-open connections', 'persistence templates'),
  used: quantity,
  slots: quantity,
  refused: quantity,
  unpromoted: quantity,
});
