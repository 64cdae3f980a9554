/**
 * Who is at an address on a link: our own ARP (RFC 826) and IPv6 neighbour discovery (RFC 4861), because packets that
 * leave as whole frames bypass the kernel's. What the kernel knows is used first, so that traffic starts without delay.
 */
import type { Link, Neighbour as KernelNeighbour } from '../../../platform/netlink.ts';
import type { Address } from '../../../util/ip.ts';
import { familyOf } from '../../../util/ip.ts';
import { Backlog } from './backlog.ts';
import type { Claim } from './neighbour-messages.ts';
import { solicitation } from './neighbour-messages.ts';

export interface NeighbourParts {
  /** What the kernel's own table says of an address on a link. */
  kernel(link: number, address: Address): KernelNeighbour | undefined;
  /** A whole Ethernet frame, out on the link. */
  send(link: number, frame: Buffer, length: number): void;
  problem(message: string): void;
}

/** A confirmed neighbour in use is asked again after so long; milliseconds, as all times here. */
const REFRESH = 30_000;
const RETRY = 1000;
const TRIES = 3;
/** A neighbour that nobody used for so long is forgotten with the next route generation. */
const IDLE = 300_000;
/** After a change of the MAC address another is believed only of a gratuitous ARP: the first of two answers wins. */
const LOCK = 1000;
const SCAN = 250;
export const MOST_NEIGHBOURS = 65536;
/** So many survive a route generation, or none: room for those of the next. */
const KEPT = MOST_NEIGHBOURS * 0.75;
/** Complaints a minute; a scan of our networks must not fill the log. */
const COMPLAINTS = 10;
const COMPLAINTS_PERIOD = 60_000;

/** Bytes a neighbour in the header table: Ethernet header without its type, then marks. */
const HEADER = 16;
const RESOLVED = 14;
const USED = 15;

/** idle: not asked; probing: known, and asked again; fixed: nobody needs to be asked. */
type Phase = 'idle' | 'asking' | 'known' | 'probing' | 'fixed';

interface Entry {
  readonly number: number;
  readonly address: Address;
  link: Link;
  source: Address | undefined;
  mac: Uint8Array | undefined;
  phase: Phase;
  tries: number;
  /** When there may be something to do. */
  due: number;
  changed: number;
  used: number;
  complained: boolean;
}

export class Neighbours {
  readonly #parts: NeighbourParts;
  readonly #entries = new Map<string, Entry>();
  readonly #byNumber: (Entry | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #headers = new Uint8Array(MOST_NEIGHBOURS * HEADER);
  readonly #backlog = new Backlog();
  #scanned = -Infinity;
  #complaints = 0;
  #unsaid = 0;
  #complaintsSince = -Infinity;

  constructor(parts: NeighbourParts) {
    this.#parts = parts;
  }

  /** Packets that waited in vain for an answer. */
  get dropped(): number {
    return this.#backlog.dropped;
  }

  /**
   * @param mac where it needs no asking (multicast, links without ARP)
   * @param source this host's address, which asks
   * @returns the neighbour's number, good until {@link keep}; -1 when there are too many
   */
  find(
    link: Link,
    address: Address,
    source: Address | undefined,
    mac: Uint8Array | undefined,
    now: number,
  ): number {
    const known = this.#entries.get(keyOf(link.index, address));
    if (known !== undefined) {
      known.source = source ?? known.source;
      return known.number;
    }
    const number = this.#free.pop() ?? this.#byNumber.length;
    if (number >= MOST_NEIGHBOURS) return -1;
    const entry: Entry = {
      number,
      address,
      link,
      source,
      mac: undefined,
      phase: 'idle',
      tries: 0,
      due: now,
      changed: -Infinity,
      used: now,
      complained: false,
    };
    this.#entries.set(keyOf(link.index, address), entry);
    this.#byNumber[number] = entry;
    this.#headers.fill(0, number * HEADER, (number + 1) * HEADER);
    this.#headers.set(link.mac.subarray(0, 6), number * HEADER + 6);
    if (mac === undefined) {
      this.#askKernel(entry, now, false);
    } else {
      entry.phase = 'fixed';
      entry.due = Infinity;
      this.#resolve(entry, mac, now);
    }
    return number;
  }

  /** Writes 14 bytes. @returns false while the MAC address is not known. Hot path: measured 15 ns on a busy machine. */
  writeHeader(neighbour: number, frame: Uint8Array, at: number, ethertype: number): boolean {
    const headers = this.#headers;
    const from = neighbour * HEADER;
    if (headers[from + RESOLVED] !== 1) return false;
    headers[from + USED] = 1;
    for (let i = 0; i < 12; i++) frame[at + i] = headers[from + i] as number;
    frame[at + 12] = ethertype >>> 8;
    frame[at + 13] = ethertype;
    return true;
  }

  /** Keeps a copy of an IP packet until the neighbour has answered, and asks it. */
  queue(neighbour: number, packet: Uint8Array, at: number, length: number, now: number): void {
    const entry = this.#byNumber[neighbour];
    if (entry === undefined) return;
    if (entry.mac !== undefined) {
      // answered in the meantime
      this.#send(entry, this.#backlog.copy(packet, at, length));
      return;
    }
    // those who do not fit do not ask either, which bounds the questions of a scan
    if (!this.#backlog.add(neighbour, packet, at, length, now)) return;
    entry.used = now;
    if (entry.phase !== 'idle') return;
    entry.phase = 'asking';
    entry.tries = 0;
    this.#ask(entry, now);
  }

  /** Somebody on a link says where an address is. Only neighbours that are in use are of interest. */
  learn(link: number, claim: Claim, now: number): void {
    const entry = this.#entries.get(keyOf(link, claim.address));
    if (entry === undefined || entry.phase === 'fixed') return;
    if (entry.mac === undefined) {
      this.#resolve(entry, claim.mac, now);
      this.#confirm(entry, now, claim.solicited);
    } else if (Buffer.compare(entry.mac, claim.mac) === 0) {
      if (claim.solicited) this.#confirm(entry, now, true);
    } else if (claim.gratuitous || (claim.override && now - entry.changed >= LOCK)) {
      this.#resolve(entry, claim.mac, now);
      this.#confirm(entry, now, claim.solicited);
    } else if (entry.phase === 'known') {
      // somebody else claims the address, and may not take it: ask its holder
      entry.due = now;
    }
  }

  /** Asks, asks again and gives up, as due. @param now milliseconds */
  advance(now: number): void {
    if (now - this.#scanned < SCAN) return;
    this.#scanned = now;
    this.#backlog.expire(now);
    for (const entry of this.#entries.values()) this.#attend(entry, now);
    if (now - this.#complaintsSince < COMPLAINTS_PERIOD) return;
    if (this.#unsaid > 0) this.#parts.problem(`${this.#unsaid} more neighbours do not answer`);
    this.#complaintsSince = now;
    this.#complaints = 0;
    this.#unsaid = 0;
  }

  /** A new route generation: forgets who is not reachable as before, or not used. Numbers may be given anew after it. */
  keep(links: ReadonlyMap<number, Link>, now: number): void {
    for (const entry of this.#entries.values()) {
      const link = links.get(entry.link.index);
      this.#noteUse(entry, now);
      if (
        link?.up !== true ||
        Buffer.compare(link.mac, entry.link.mac) !== 0 ||
        entry.phase === 'fixed' ||
        now - entry.used > IDLE
      )
        this.#forget(entry);
      else entry.link = link;
    }
    if (this.#entries.size > KEPT) for (const entry of this.#entries.values()) this.#forget(entry);
  }

  #attend(entry: Entry, now: number): void {
    if (now < entry.due) return;
    switch (entry.phase) {
      case 'idle':
        return;
      case 'fixed':
        // the administrator may have entered another address, or none
        if (this.#askKernel(entry, now, true)) return;
        this.#becomeIdle(entry);
        return;
      case 'known':
        if (!this.#noteUse(entry, now)) return;
        entry.phase = 'probing';
        entry.tries = 0;
        this.#ask(entry, now);
        return;
      case 'asking':
      case 'probing':
        if (entry.tries < (entry.phase === 'asking' ? TRIES : 2 * TRIES)) this.#ask(entry, now);
        else this.#giveUp(entry, now);
    }
  }

  /** One question: to the neighbour itself as long as there is hope that it is where it was, then to all. */
  #ask(entry: Entry, now: number): void {
    if (this.#askKernel(entry, now, true)) return;
    const to = entry.phase === 'probing' && entry.tries < TRIES ? entry.mac : undefined;
    entry.tries++;
    entry.due = now + RETRY;
    // without an address of the family on the link there is nothing that could be answered
    if (entry.source === undefined) return;
    const frame = solicitation(entry.link.mac, entry.source, entry.address, to);
    this.#parts.send(entry.link.index, frame, frame.length);
  }

  /**
   * @param sure only what the kernel has confirmed lately
   * @returns whether it told
   */
  #askKernel(entry: Entry, now: number, sure: boolean): boolean {
    const known = this.#parts.kernel(entry.link.index, entry.address);
    if (known?.mac.length !== 6 || (sure && !known.reachable)) return false;
    this.#resolve(entry, known.mac, now);
    this.#confirm(entry, now, known.reachable);
    if (known.fixed) entry.phase = 'fixed';
    return true;
  }

  #resolve(entry: Entry, mac: Uint8Array, now: number): void {
    const headers = this.#headers;
    const at = entry.number * HEADER;
    if (entry.mac === undefined || Buffer.compare(entry.mac, mac) !== 0) entry.changed = now;
    entry.mac = mac;
    headers.set(mac, at);
    headers[at + RESOLVED] = 1;
    const waiting = this.#backlog.take(entry.number);
    if (waiting.length > 0) headers[at + USED] = 1;
    for (const frame of waiting) this.#send(entry, frame);
  }

  /** @param sure it has answered us; otherwise it is asked as soon as it is used */
  #confirm(entry: Entry, now: number, sure: boolean): void {
    entry.phase = 'known';
    entry.due = sure ? now + REFRESH : now;
    if (!sure) return;
    entry.complained = false;
    this.#noteUse(entry, now);
  }

  /** @returns whether it was used since the last time */
  #noteUse(entry: Entry, now: number): boolean {
    const at = entry.number * HEADER + USED;
    if (this.#headers[at] === 0) return false;
    this.#headers[at] = 0;
    entry.used = now;
    return true;
  }

  #send(entry: Entry, frame: Buffer): void {
    const ethertype = (frame[14] ?? 0) >> 4 === 4 ? 0x0800 : 0x86dd;
    this.writeHeader(entry.number, frame, 0, ethertype);
    this.#parts.send(entry.link.index, frame, frame.length);
  }

  #giveUp(entry: Entry, now: number): void {
    this.#becomeIdle(entry);
    entry.due = now;
    this.#backlog.drop(entry.number);
    if (entry.complained) return;
    entry.complained = true;
    if (++this.#complaints > COMPLAINTS) {
      this.#unsaid++;
      return;
    }
    const question = familyOf(entry.address) === 'inet' ? 'ARP' : 'neighbour discovery';
    this.#parts.problem(`${entry.address} on ${entry.link.name} does not answer ${question}`);
  }

  #becomeIdle(entry: Entry): void {
    entry.phase = 'idle';
    entry.mac = undefined;
    this.#headers[entry.number * HEADER + RESOLVED] = 0;
  }

  #forget(entry: Entry): void {
    this.#backlog.drop(entry.number);
    this.#becomeIdle(entry);
    this.#entries.delete(keyOf(entry.link.index, entry.address));
    this.#byNumber[entry.number] = undefined;
    this.#free.push(entry.number);
  }
}

function keyOf(link: number, address: Address): string {
  return `${link} ${address}`;
}
