/**
 * An engine's report on its way from the forwarder to the daemon: names in lists, numbers in one array. It travels every two seconds,
 * and as objects the counters of forty thousand destinations would keep both processes busy for a tenth of a second.
 */
import type { DestinationId, ServiceId } from '../director/table.ts';
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

/** In the order of their numbers, which is that of {@link Tallies}. */
export const counterNames = ['connections', 'inPackets', 'outPackets', 'inBytes', 'outBytes'] as const;

const counterCount = counterNames.length;
const serviceNumbers = counterCount + 1;
const destinationNumbers = counterCount + 4;

export class ReportPacker {
  /** Where the counters of what was added last belong. */
  at = 0;
  readonly numbers: Float64Array;
  readonly #services: ServiceId[] = [];
  readonly #addresses: Address[] = [];
  #end = 0;

  constructor(services: number, destinations: number) {
    this.numbers = new Float64Array(services * serviceNumbers + destinations * destinationNumbers);
  }

  /** Its destinations follow, as many as that. */
  addService(id: ServiceId, destinations: number): void {
    this.#services.push(id);
    this.at = this.#end;
    this.numbers[this.at + counterCount] = destinations;
    this.#end += serviceNumbers;
  }

  addDestination(
    { address, port }: DestinationId,
    active: number,
    inactive: number,
    persistent: number,
  ): void {
    this.#addresses.push(address);
    this.at = this.#end;
    this.numbers[this.at + counterCount] = port;
    this.numbers[this.at + counterCount + 1] = active;
    this.numbers[this.at + counterCount + 2] = inactive;
    this.numbers[this.at + counterCount + 3] = persistent;
    this.#end += destinationNumbers;
  }

  finish(totals: Counters): PackedReport {
    return { totals, services: this.#services, addresses: this.#addresses, numbers: this.numbers };
  }
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

function countersAt(numbers: Float64Array, at: number): Counters {
  const connections = numbers[at] as number;
  const inPackets = numbers[at + 1] as number;
  const outPackets = numbers[at + 2] as number;
  if (connections === 0 && inPackets === 0 && outPackets === 0) return zeroCounters;
  const [inBytes, outBytes] = [numbers[at + 3] as number, numbers[at + 4] as number];
  return { connections, inPackets, outPackets, inBytes, outBytes };
}
