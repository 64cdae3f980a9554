/** The listings beside the table: connections (`-L -c`), timeouts, sync daemons. */
import type { SyncDaemon, Timeouts } from '../director/table.ts';
import type { ConnectionEntry, TableFill } from '../engines/engine.ts';
import type { Naming } from './directoradm-naming.ts';

/** @param withEngine adds the columns of persistence engine and its data */
export function connectionsTitle(withEngine: boolean): string {
  const engine = withEngine ? ` ${'pe name'.padEnd(16)} pe_data` : '';
  const title = `pro expire ${'state'.padEnd(11)} ${'source'.padEnd(18)} ${'virtual'.padEnd(18)}`;
  const destination = withEngine ? 'destination'.padEnd(18) : 'destination';
  return `IPVS connection entries\n${title} ${destination}${engine}\n`;
}

/** @param withEngine what a template's persistence engine knows it by is told */
export function formatConnections(
  entries: readonly ConnectionEntry[],
  naming: Naming,
  withEngine: boolean,
): string {
  return entries.map((entry) => `${connectionRow(entry, naming, withEngine)}\n`).join('');
}

function connectionRow(entry: ConnectionEntry, naming: Naming, withEngine: boolean): string {
  const protocol = entry.protocol === 'ip' ? undefined : entry.protocol;
  const seconds = Math.max(0, Math.floor(entry.expires));
  const expires = `${twoDigits(Math.floor(seconds / 60))}:${twoDigits(seconds % 60)}`;
  const destination = naming.endpoint(entry.destination, entry.destinationPort, protocol);
  const { engineData } = withEngine ? entry : {};
  const engine = engineData && [destination.padEnd(16), engineData.engine.padEnd(18), engineData.data];
  return [
    entry.protocol.toUpperCase().padEnd(3),
    expires.padEnd(6),
    entry.state.padEnd(11),
    naming.endpoint(entry.client, entry.clientPort, protocol).padEnd(18),
    naming.endpoint(entry.virtual, entry.virtualPort, protocol).padEnd(18),
    ...(engine ?? [destination]),
  ].join(' ');
}

/** `-L --tables`: slots, of an engine whose tables have a fixed size. */
export function formatTables(tables: readonly TableFill[]): string {
  if (tables.length === 0) return 'The tables of this engine have no fixed size\n';
  const row = (...[family, table, ...numbers]: readonly string[]): string =>
    [family?.padEnd(6), table?.padEnd(23), ...numbers.map((number) => number.padStart(10))].join(' ');
  const lines = tables.map(({ family, table, used, slots, refused, unpromoted }) =>
    row(
      `IPv${family}`,
      table,
      String(used),
      String(slots),
      `${Math.round((100 * used) / slots)}%`,
      String(refused),
      String(unpromoted),
    ),
  );
  return `${[row('Family', 'Table', 'Used', 'Slots', 'Full', 'Refused', 'Unpromoted'), ...lines].join('\n')}\n`;
}

export function formatTimeouts({ tcp, tcpFin, udp }: Timeouts): string {
  return `Timeout (tcp tcpfin udp): ${tcp} ${tcpFin} ${udp}\n`;
}

export function formatSyncDaemons(daemons: readonly SyncDaemon[]): string {
  return daemons
    .map(
      ({ role, interface: mcast, syncId, maxLength, group, port, ttl }) =>
        `${role} sync daemon (mcast=${mcast}, syncid=${syncId}, maxlen=${maxLength}, group=${group}, port=${port}, ttl=${ttl})\n`,
    )
    .join('');
}

function twoDigits(value: number): string {
  return value.toString().padStart(2, '0');
}
