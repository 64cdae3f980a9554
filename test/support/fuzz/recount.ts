/** Whether the counters of the pool are what its connections and templates come to. */
import type { ConnectionTable } from '../../../src/connections/connection-table.ts';
import { TCP } from '../../../src/connections/protocols.ts';
import { isActive } from '../../../src/connections/tcp-states.ts';
import { destinationKey, serviceKey } from '../../../src/director/table.ts';
import { unpackReport } from '../../../src/engines/packed-report.ts';
import type { PacketTable } from '../../../src/engines/packet/packet-table.ts';

interface Counts {
  active: number;
  inactive: number;
  persistent: number;
}

/** @returns a sentence for each destination whose counts differ */
export function recount(table: PacketTable): string[] {
  const counted = new Map<number, Counts>();
  const count = (connections: ConnectionTable, kind: (slot: number) => keyof Counts): void => {
    connections.forEach((slot) => {
      const destination = connections.destination(slot);
      const counts = counted.get(destination) ?? { active: 0, inactive: 0, persistent: 0 };
      counts[kind(slot)]++;
      counted.set(destination, counts);
    });
  };
  const { connections, templates } = table;
  if (table.rows(0).length !== connections.size + templates.size) return ['the listing misses connections'];
  count(connections, (slot) =>
    connections.protocol(slot) === TCP && isActive(connections.state(slot)) ? 'active' : 'inactive',
  );
  count(templates, () => 'persistent');
  const byName = new Map(Array.from(counted, ([destination, counts]) => [table.nameOf(destination), counts]));
  return unpackReport(table.report()).services.flatMap(({ id, destinations }) =>
    destinations.flatMap((destination) => {
      const name = `${destinationKey(destination.id)} of ${serviceKey(id)}`;
      const { active, inactive, persistent } = byName.get(name) ?? { active: 0, inactive: 0, persistent: 0 };
      const same =
        active === destination.active &&
        inactive === destination.inactive &&
        persistent === destination.persistent;
      return same
        ? []
        : [`${name}: counted ${active}/${inactive}/${persistent}, ${JSON.stringify(destination)}`];
    }),
  );
}
