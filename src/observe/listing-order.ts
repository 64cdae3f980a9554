/**
 * The order of a listing, exactly as ipvsadm sorts: by signed 32-bit differences, which is not even transitive
 * (10.0.0.1 comes after 192.168.0.1), and by the halving merge sort of glibc's qsort, because for such an order the
 * algorithm decides the result.
 */
import type { DestinationId, ServiceId } from '../director/table.ts';
import type { Family } from '../util/ip.ts';
import { addressBytes, familyOf } from '../util/ip.ts';
import type { ServiceListing } from './listing.ts';

const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const;
const familyNumbers = { inet: 2, inet6: 10 } as const;

/** Services and, within each, destinations in ipvsadm's default order. */
export function sortListing(services: readonly ServiceListing[]): readonly ServiceListing[] {
  return sortBy(services, ({ id }) => serviceSortKey(id), compareServices).map((service) => ({
    ...service,
    destinations: sortBy(service.destinations, ({ id }) => endpointSortKey(id), compareEndpoints),
  }));
}

interface EndpointSortKey {
  readonly family: Family;
  /** Host order; an IPv4 address is the first word, the others 0. */
  readonly words: readonly number[];
  readonly port: number;
}

interface ServiceSortKey extends EndpointSortKey {
  readonly mark: number;
  readonly protocol: number;
}

function serviceSortKey(id: ServiceId): ServiceSortKey {
  if (id.kind === 'fwmark')
    return { mark: id.mark, family: id.family, protocol: 0, words: [0, 0, 0, 0], port: 0 };
  return { mark: 0, protocol: protocolNumbers[id.protocol], ...endpointSortKey(id) };
}

function endpointSortKey({ address, port }: DestinationId): EndpointSortKey {
  const bytes = addressBytes(address);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const words = [0, 4, 8, 12].map((at) => (at < bytes.length ? view.getInt32(at) : 0));
  return { family: familyOf(address), words, port };
}

function compareServices(left: ServiceSortKey, right: ServiceSortKey): number {
  return (
    difference(left.mark, right.mark) ||
    familyNumbers[left.family] - familyNumbers[right.family] ||
    left.protocol - right.protocol ||
    compareEndpoints(left, right)
  );
}

/** Addresses of two families are compared in that of the left one. */
function compareEndpoints(left: EndpointSortKey, right: EndpointSortKey): number {
  const count = left.family === 'inet' ? 1 : 4;
  for (let word = 0; word < count; word++) {
    const found = difference(left.words[word] ?? 0, right.words[word] ?? 0);
    if (found !== 0) return found;
  }
  return left.port - right.port;
}

/** As a 32-bit subtraction yields it: numbers 2^31 or more apart compare the wrong way round. */
function difference(left: number, right: number): number {
  return (left - right) | 0;
}

function sortBy<Item, Key>(
  items: readonly Item[],
  keyOf: (item: Item) => Key,
  compare: (left: Key, right: Key) => number,
): readonly Item[] {
  const keyed = items.map((item) => ({ item, key: keyOf(item) }));
  return mergeSort(keyed, (left, right) => compare(left.key, right.key)).map(({ item }) => item);
}

function mergeSort<Item>(
  items: readonly Item[],
  compare: (left: Item, right: Item) => number,
): readonly Item[] {
  if (items.length < 2) return items;
  const half = Math.floor(items.length / 2);
  const left = mergeSort(items.slice(0, half), compare);
  const right = mergeSort(items.slice(half), compare);
  const merged: Item[] = [];
  let l = 0;
  let r = 0;
  for (let leftItem = left[0], rightItem = right[0]; leftItem !== undefined && rightItem !== undefined;) {
    if (compare(leftItem, rightItem) <= 0) {
      merged.push(leftItem);
      leftItem = left[++l];
    } else {
      merged.push(rightItem);
      rightItem = right[++r];
    }
  }
  return [...merged, ...left.slice(l), ...right.slice(r)];
}
