/**
 * The orders of a listing. The kernel's: that of its hash tables. And ipvsadm's, which sorts what the kernel lists: by
 * signed 32-bit differences, which is not even transitive (10.0.0.1 comes after 192.168.0.1), and by the halving merge
 * sort of glibc's qsort, because for such an order the algorithm decides the result.
 */
import type { DestinationId, ServiceId } from '../director/table.ts';
import type { Address, Family } from '../util/ip.ts';
import { addressBytes, familyOf } from '../util/ip.ts';
import type { ServiceListing } from './listing.ts';

const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const;
const familyNumbers = { inet: 2, inet6: 10 } as const;

/** Buckets of each of the kernel's two tables of services: those with an address, and those with a firewall mark. */
const buckets = 256;

/**
 * The order of the kernel's hash table: what `--nosort` and /proc/net/ip_vs show. Every running kernel shuffles its
 * buckets in its own way besides; this is how one does that leaves them as they are.
 * @param services in the order in which they were added
 */
export function kernelOrder(services: readonly ServiceListing[]): readonly ServiceListing[] {
  const table: ServiceListing[][] = Array.from({ length: 2 * buckets }, () => []);
  for (const service of services) table[bucketOf(service.id)]?.push(service);
  return table.flatMap((bucket) => bucket.reverse());
}

/** Those of firewall marks come after all others. */
function bucketOf(id: ServiceId): number {
  if (id.kind === 'fwmark') return buckets + (id.mark % buckets);
  const address = addressWords(id.address).reduce((folded, word) => folded ^ word, 0);
  return (protocolNumbers[id.protocol] ^ address ^ (id.port >> 8) ^ id.port) & (buckets - 1);
}

/** Services and, within each, destinations in ipvsadm's default order. */
export function sortListing(services: readonly ServiceListing[]): readonly ServiceListing[] {
  return sortBy(kernelOrder(services), ({ id }) => serviceSortKey(id), compareServices).map((service) => ({
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
  return { family: familyOf(address), words: addressWords(address), port };
}

/** Four words in host order; an IPv4 address is the first, the others are 0. */
function addressWords(address: Address): readonly number[] {
  const bytes = addressBytes(address);
  const byte = (at: number): number => bytes[at] ?? 0;
  const word = (at: number): number =>
    (byte(at) << 24) | (byte(at + 1) << 16) | (byte(at + 2) << 8) | byte(at + 3);
  return [word(0), word(4), word(8), word(12)];
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
  if (items.length < 2) return items;
  const keyed = items.map((item) => ({ item, key: keyOf(item) }));
  mergeSort(keyed, (left, right) => compare(left.key, right.key), 0, keyed.length, []);
  return keyed.map(({ item }) => item);
}

/** Sorts the items from `begin` to before `end`. @param spare room for as many */
function mergeSort<Item>(
  items: Item[],
  compare: (left: Item, right: Item) => number,
  begin: number,
  end: number,
  spare: Item[],
): void {
  if (end - begin < 2) return;
  const middle = begin + Math.floor((end - begin) / 2);
  mergeSort(items, compare, begin, middle, spare);
  mergeSort(items, compare, middle, end, spare);
  let left = begin;
  let right = middle;
  let merged = 0;
  while (left < middle && right < end) {
    const [leftItem, rightItem] = [items[left] as Item, items[right] as Item];
    const isLeft = compare(leftItem, rightItem) <= 0;
    spare[merged++] = isLeft ? leftItem : rightItem;
    if (isLeft) left++;
    else right++;
  }
  // What is left of the right half is in its place already.
  while (left < middle) spare[merged++] = items[left++] as Item;
  for (let at = 0; at < merged; at++) items[begin + at] = spare[at] as Item;
}
