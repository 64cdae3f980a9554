/**
 * An engine's report on its way from the forwarder to the daemon: names in lists, numbers in one array. It travels every two seconds,
 * and as objects the counters of forty thousand destinations would keep both processes busy for a tenth of a second.
 */
import type { ServiceId } from '../director/table.ts';
import type { Address } from '../util/ip.ts';
import type { Counters, DestinationReport, EngineReport, ServiceReport } from './engine.ts';
import { zeroCounters } from './engine.ts';

export interface PackedReport {
  readonly totals: Counters;
  readonly services: readonly ServiceId[];
  /** Addresses of all destinations, service by service. */
  readonly addresses: readonly Address[];
  /** For each service its counters and how many destinations it has, each of which has: port, active, inactive, persistent, counters. */
  readonly numbers: Float64Array;
}

const counterCount = 5;
const serviceNumbers = counterCount + 1;
const destinationNumbers = counterCount + 4;

export function packReport({ services, totals }: EngineReport): PackedReport {
  const count = services.reduce((sum, { destinations }) => sum + destinations.length, 0);
  const numbers = new Float64Array(services.length * serviceNumbers + count * destinationNumbers);
  const addresses: Address[] = [];
  let at = 0;
  for (const { counters, destinations } of services) {
    putCounters(numbers, at, counters);
    numbers[at + counterCount] = destinations.length;
    at += serviceNumbers;
    for (const destination of destinations) {
      addresses.push(destination.id.address);
      putCounters(numbers, at, destination.counters);
      numbers[at + counterCount] = destination.id.port;
      numbers[at + counterCount + 1] = destination.active;
      numbers[at + counterCount + 2] = destination.inactive;
      numbers[at + counterCount + 3] = destination.persistent;
      at += destinationNumbers;
    }
  }
  return { totals, services: services.map(({ id }) => id), addresses, numbers };
}

export function unpackReport({ totals, services, addresses, numbers }: PackedReport): EngineReport {
  let at = 0;
  let next = 0;
  const destinationReport = (): DestinationReport => {
    const report = {
      id: { address: addresses[next++] as Address, port: numbers[at + counterCount] as number },
      counters: countersAt(numbers, at),
      active: numbers[at + counterCount + 1] as number,
      inactive: numbers[at + counterCount + 2] as number,
      persistent: numbers[at + counterCount + 3] as number,
    };
    at += destinationNumbers;
    return report;
  };
  const serviceReport = (id: ServiceId): ServiceReport => {
    const counters = countersAt(numbers, at);
    const length = numbers[at + counterCount] as number;
    at += serviceNumbers;
    return { id, counters, destinations: Array.from({ length }, destinationReport) };
  };
  return { totals, services: services.map(serviceReport) };
}

function putCounters(numbers: Float64Array, at: number, counters: Counters): void {
  if (counters === zeroCounters) return;
  numbers[at] = counters.connections;
  numbers[at + 1] = counters.inPackets;
  numbers[at + 2] = counters.outPackets;
  numbers[at + 3] = counters.inBytes;
  numbers[at + 4] = counters.outBytes;
}

function countersAt(numbers: Float64Array, at: number): Counters {
  const connections = numbers[at] as number;
  const inPackets = numbers[at + 1] as number;
  const outPackets = numbers[at + 2] as number;
  if (connections === 0 && inPackets === 0 && outPackets === 0) return zeroCounters;
  const [inBytes, outBytes] = [numbers[at + 3] as number, numbers[at + 4] as number];
  return { connections, inPackets, outPackets, inBytes, outBytes };
}
