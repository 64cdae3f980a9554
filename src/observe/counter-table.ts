/**
 * The counters of services and destinations, declared once: name, unit, help, and the column titles of the ipvsadm
 * listing. Every rendering (listing, JSON, metrics, status page) goes through this table.
 */
import type { Counters } from '../engines/engine.ts';

export interface CounterField {
  readonly key: keyof Counters;
  /** Column of `--stats`. */
  readonly title: string;
  /** Column of `--rate`. */
  readonly rateTitle: string;
  /** What one count is; a rate is that much per second. */
  readonly unit: 'connections' | 'packets' | 'bytes';
  readonly help: string;
}

export const counterFields: readonly CounterField[] = [
  {
    key: 'connections',
    title: 'Conns',
    rateTitle: 'CPS',
    unit: 'connections',
    help: 'Connections scheduled',
  },
  {
    key: 'inPackets',
    title: 'InPkts',
    rateTitle: 'InPPS',
    unit: 'packets',
    help: 'Packets from clients',
  },
  {
    key: 'outPackets',
    title: 'OutPkts',
    rateTitle: 'OutPPS',
    unit: 'packets',
    help: 'Packets from real servers that passed the director',
  },
  {
    key: 'inBytes',
    title: 'InBytes',
    rateTitle: 'InBPS',
    unit: 'bytes',
    help: 'Bytes of the IP packets from clients',
  },
  {
    key: 'outBytes',
    title: 'OutBytes',
    rateTitle: 'OutBPS',
    unit: 'bytes',
    help: 'Bytes of the IP packets from real servers that passed the director',
  },
];

/** A value for every counter. */
export function mapCounters(value: (key: keyof Counters) => number): Counters {
  return {
    connections: value('connections'),
    inPackets: value('inPackets'),
    outPackets: value('outPackets'),
    inBytes: value('inBytes'),
    outBytes: value('outBytes'),
  };
}
