/**
 * The named sets of the guard by nft: their elements follow the director's table. Several endpoints may come to the same element (all
 * ports of a real server to its address), so each is counted. Pure.
 */
import type { SetChange } from '../util/counted-set.ts';
import { CountedSet } from '../util/counted-set.ts';
import type { Address } from '../util/ip.ts';
import { familyOf } from '../util/ip.ts';
import type { GuardChange, GuardClaims, GuardedEndpoint } from './guard-state.ts';

/** Kinds of sets, one for each family, and the columns of an element after the address. */
export const setColumns = {
  services: ' . inet_proto . inet_service',
  'whole-services': ' . inet_proto',
  'service-protocols': ' . inet_proto',
  replies: ' . inet_proto . inet_service',
  'whole-replies': ' . inet_proto',
  'reply-protocols': ' . inet_proto',
  servers: '',
  own: '',
} as const;

export type SetKind = keyof typeof setColumns | 'marks';

const kinds = [...Object.keys(setColumns), 'marks'] as readonly SetKind[];

/** By number: names would need /etc/protocols. */
const protocolNumber = { tcp: 6, udp: 17, sctp: 132 } as const;

/** Set name -> elements, in nft's notation. */
export type SetChanges = ReadonlyMap<string, ElementChange>;

export interface ElementChange extends SetChange<string> {
  /** Nothing is left. */
  readonly isEmpty: boolean;
}

export class GuardSets {
  readonly #sets: ReadonlyMap<string, CountedSet<string>> = new Map(
    kinds.flatMap((kind) => ([4, 6] as const).map((family) => [`${kind}${family}`, new CountedSet()])),
  );
  #own: ReadonlySet<Address> = new Set();

  /** What was never added is not there to be removed: that makes no difference. */
  change({ added, removed, own }: GuardChange): void {
    // in this order, so that what stays is never gone in between
    for (const [set, element] of elementsOf(added)) this.#set(set).add(element, element);
    for (const [set, element] of elementsOf(removed)) this.#set(set).remove(element);
    if (own === undefined) return;
    const before = this.#own;
    this.#own = new Set(own);
    for (const address of this.#own) this.#set(ownSet(address)).add(address, address);
    for (const address of before) this.#set(ownSet(address)).remove(address);
  }

  /** Everything. From now on {@link takeChanges} tells what is different from that. */
  takeAll(): SetChanges {
    return this.#map((set) => {
      set.takeChange();
      return { added: set.items(), removed: [], isEmpty: set.size === 0 };
    });
  }

  /** What became different since something was taken. */
  takeChanges(): SetChanges {
    return this.#map((set) => ({ ...set.takeChange(), isEmpty: set.size === 0 }));
  }

  /** How many elements each set had when something was taken last. */
  sizes(): ReadonlyMap<string, number> {
    return this.#map(({ taken }) => taken);
  }

  #set(name: string): CountedSet<string> {
    return this.#sets.get(name) as CountedSet<string>;
  }

  #map<T>(of: (set: CountedSet<string>) => T): ReadonlyMap<string, T> {
    return new Map(Array.from(this.#sets, ([name, set]) => [name, of(set)]));
  }
}

function* elementsOf(claims: GuardClaims): Generator<readonly [set: string, element: string]> {
  for (const endpoint of claims.services) {
    const { family, port } = endpoint;
    const pair = addressAndProtocol(endpoint);
    yield [`service-protocols${family}`, pair];
    yield port === 0 ? [`whole-services${family}`, pair] : [`services${family}`, withPort(pair, port)];
  }
  for (const endpoint of claims.replies) {
    const { family, address, port } = endpoint;
    const pair = addressAndProtocol(endpoint);
    yield [`servers${family}`, address];
    yield [`reply-protocols${family}`, pair];
    yield port === 0 ? [`whole-replies${family}`, pair] : [`replies${family}`, withPort(pair, port)];
  }
  for (const { family, mark } of claims.marks) yield [`marks${family}`, String(mark)];
}

function ownSet(address: Address): string {
  return `own${familyOf(address) === 'inet' ? 4 : 6}`;
}

/** Joined: what a template makes of them takes twice the room. */
function addressAndProtocol({ address, protocol }: GuardedEndpoint): string {
  return [address, protocolNumber[protocol]].join(' . ');
}

function withPort(pair: string, port: number): string {
  return [pair, port].join(' . ');
}
