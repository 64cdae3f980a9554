/** A packet engine in the fuzzer's place, small enough that its limits are met. */
import { PacketTable } from '../../../src/engines/packet/packet-table.ts';
import { readVsSettings } from '../../../src/engines/vs-settings.ts';
import type { VsSettings } from '../../../src/engines/vs-settings.ts';
import type { Sent } from './place.ts';
import { FuzzPlace } from './place.ts';

const limit = 400;
const halfOpen = 128;
const destinations = 200;

export function fuzzTable(
  now: number,
  sent: (sent: Sent) => void,
  problem: (message: string) => void,
): { readonly table: PacketTable; readonly place: FuzzPlace; readonly settings: VsSettings } {
  const settings = readVsSettings('');
  let place: FuzzPlace | undefined;
  const table = new PacketTable({
    size: { services: 64, destinations },
    settings,
    capacity: 16,
    limit,
    halfOpen,
    seed: 0x5eed,
    now,
    egress: (servers) => (place = new FuzzPlace(servers, sent)),
    mark: ({ destinationPort }) => destinationPort % 5,
    unanswered: () => undefined,
    problem,
    serverChanged: () => undefined,
  });
  if (place === undefined) throw new Error('no egress was asked for');
  return { table, place, settings };
}

fuzzTable.limit = limit;
fuzzTable.halfOpen = halfOpen;
fuzzTable.destinations = destinations;
