/**
 * Hostile packets, changes of the table and of time, and leaps of time against a packet engine without I/O; and what has to be true
 * all the while. The same for a seed every time.
 */
import type { PacketTable } from '../../../src/engines/packet/packet-table.ts';
import { Adversary, isImpossibleSource } from './adversary.ts';
import type { Hostile } from './adversary.ts';
import { packetFault } from './packet-fault.ts';
import { Hop, virtual } from './place.ts';
import type { FuzzPlace, Sent } from './place.ts';
import { Random } from './random.ts';
import { recount } from './recount.ts';
import { fuzzTable } from './fuzz-table.ts';
import { TableChanges } from './table-changes.ts';
import { addressBytes } from '../../../src/util/ip.ts';

export interface FuzzTotals {
  packets: number;
  bytes: number;
  sent: number;
  dropped: number;
  passed: number;
  changes: number;
}

const HEADROOM = 64;
const virtualAddresses = virtual.map(addressBytes);
/** Headers that a packet may have besides: those of a tunnel, of an ICMP error, of each segment or fragment. */
const MOST_MORE = 200;
/** Packets from one check of the counters to the next. */
const CHECK = 5000;

export class Fuzzer {
  readonly totals: FuzzTotals = { packets: 0, bytes: 0, sent: 0, dropped: 0, passed: 0, changes: 0 };
  /** In words; the first few. */
  readonly faults: string[] = [];
  readonly table: PacketTable;
  readonly #random: Random;
  readonly #adversary: Adversary;
  readonly #changes: TableChanges;
  readonly #place: FuzzPlace;
  readonly #buffer = new Uint8Array(HEADROOM + 70_000);
  #now = 1_000_000;
  #second = this.#now;
  #present: Hostile = { bytes: new Uint8Array(0), intact: false };
  #count = 0;
  #routed = false;
  #outBytes = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#adversary = new Adversary(this.#random);
    const { table, place, settings } = fuzzTable(
      this.#now,
      (sent) => {
        this.#check(sent);
      },
      (message) => {
        this.#fault(message);
      },
    );
    this.table = table;
    this.#place = place;
    this.#changes = new TableChanges(this.#random, settings, (verb) => {
      this.totals.changes++;
      table.apply([verb]);
    });
    for (let i = 0; i < 200; i++) this.#changes.change();
  }

  run(packets: number): void {
    for (let i = 1; i <= packets && this.faults.length < 5; i++) {
      this.#passTime();
      if (this.#random.oneIn(100)) this.#changes.change();
      if (this.#random.oneIn(5000)) this.#place.changeRoutes();
      if (this.#random.oneIn(5000)) this.#place.serverMtu = this.#random.pick([1500, 1500, 1400, 1280]);
      this.#forward(this.#adversary.next());
      if (i % CHECK === 0) this.#recount();
    }
  }

  /** Lets all timers run out. Afterwards there has to be nothing left, and room for as many destinations as ever. */
  end(): void {
    // the last packet, its timeout, and the prolongation of a template that was held until then
    for (let seconds = 0; seconds < 2500; seconds++) this.#advance(this.#now + 1000);
    this.#recount();
    const { connections, templates } = this.table;
    if (connections.size !== 0) this.#fault(`${connections.size} connections never expire`);
    if (templates.size !== 0) this.#fault(`${templates.size} templates never expire`);
    this.#changes.flush();
    this.table.forgetRemains();
    if (!this.table.claimants.isEmpty) this.#fault('claims remain');
    this.#changes.fill(fuzzTable.destinations);
  }

  #passTime(): void {
    const random = this.#random;
    this.#now += random.below(2);
    if (random.oneIn(10_000)) this.#now += random.pick([1000, 5000, 15_000, 61_000, 130_000, 1_000_000]);
    if (this.#now - this.#second >= 1000) this.#advance(this.#now);
  }

  #advance(now: number): void {
    this.#now = this.#second = this.#place.now = now;
    this.table.advance(now);
    this.table.forgetRemains();
  }

  #forward(hostile: Hostile): void {
    const { bytes } = hostile;
    const { totals } = this;
    this.#present = hostile;
    this.#count = this.#outBytes = 0;
    this.#place.now = this.#now;
    this.#buffer.fill(0xcc, 0, HEADROOM);
    this.#buffer.set(bytes, HEADROOM);
    let verdict: number;
    const linkMtu = this.#random.oneIn(10) ? Infinity : 1500;
    try {
      verdict = this.table.forwarder.forward(this.#buffer, HEADROOM, bytes.length, this.#now, linkMtu);
      if (verdict === 1 && this.#random.oneIn(4)) this.#routeOn();
    } catch (error) {
      this.#fault(`threw ${(error as Error).stack ?? ''}`);
      return;
    }
    totals.packets++;
    totals.bytes += bytes.length;
    totals.sent += this.#count;
    if (verdict === 1) totals.passed++;
    if (verdict === 2) totals.dropped++;
    this.#checkAmount();
  }

  /** What the host would have routed, had it not been stopped on the way; for itself it has taken it already. */
  #routeOn(): void {
    const { forwarder } = this.table;
    if (forwarder.isForThisHost()) return;
    this.#routed = true;
    forwarder.routeOn();
    this.#routed = false;
  }

  /** No amplification: what is cut in pieces has its headers in each of them, but consists mostly of something else. */
  #checkAmount(): void {
    const whole = this.table.forwarder.packet.length;
    const most = 2 * whole + this.#count * MOST_MORE;
    if (this.#count > 0 && this.#outBytes > most)
      this.#fault(`${this.#outBytes} bytes in ${this.#count} packets because of one of ${whole}`);
  }

  #check({ hop, bytes, at, length, mtu }: Sent): void {
    const packet = bytes.subarray(at, at + length);
    this.#count++;
    this.#outBytes += length;
    const fault = packetFault(packet, this.#present.intact && !this.#routed, hop === undefined);
    if (fault !== undefined) this.#fault(`sent a packet with a wrong ${fault}`, packet);
    if (length > mtu) this.#fault(`sent ${length} bytes where ${mtu} fit`, packet);
    if (isImpossibleSource(this.#present.bytes, !this.#routed))
      this.#fault('sent because of an impossible source', packet);
    if (this.#routed && hop === Hop.own && !isError(packet))
      this.#fault('routed to this host itself', packet);
    if (hop === undefined || hop === Hop.own) return;
    const { bytes: whole, at: from, length: all } = this.table.forwarder.packet;
    if (isErrorAboutError(packet) && !isErrorAboutError(whole.subarray(from, from + all)))
      this.#fault('an error about an error', packet);
    this.#checkDestination(packet);
    this.#adversary.see(packet);
  }

  /** Only direct routing sends to a virtual address: the packet that came, addresses unchanged. */
  #checkDestination(packet: Uint8Array): void {
    const [from, middle, to] = (packet[0] ?? 0) >> 4 === 4 ? [12, 16, 20] : [8, 24, 40];
    const destination = packet.subarray(middle, to);
    if (!virtualAddresses.some((address) => Buffer.compare(address, destination) === 0)) return;
    const came = this.#present.bytes.subarray(from, to);
    if (Buffer.compare(came, packet.subarray(from, to)) !== 0)
      this.#fault('sent to a virtual address', packet);
  }

  #recount(): void {
    for (const difference of recount(this.table)) this.#fault(difference);
    const { connections, templates } = this.table;
    if (connections.size > fuzzTable.limit || connections.halfOpen > fuzzTable.halfOpen)
      this.#fault(`${connections.size} connections, ${connections.halfOpen} of them half-open`);
    if (templates.size > fuzzTable.limit) this.#fault(`${templates.size} templates`);
  }

  #fault(what: string, sent?: Uint8Array): void {
    const came = hex(this.#present.bytes);
    this.faults.push(
      `${what}; packet ${this.totals.packets}: ${came}${sent === undefined ? '' : ` -> ${hex(sent)}`}`,
    );
  }
}

function hex(bytes: Uint8Array): string {
  return (
    Buffer.from(bytes.subarray(0, 200)).toString('hex') + (bytes.length > 200 ? `... (${bytes.length})` : '')
  );
}

function isError(packet: Uint8Array): boolean {
  if ((packet[0] ?? 0) >> 4 === 6) return packet[6] === 58 && (packet[40] ?? 0) < 128;
  const header = ((packet[0] ?? 0) & 15) * 4;
  return packet[9] === 1 && [3, 4, 5, 11, 12].includes(packet[header] ?? 0);
}

function isErrorAboutError(packet: Uint8Array): boolean {
  return isError(packet) && isError(packet.subarray((packet[0] ?? 0) >> 4 === 6 ? 48 : 28));
}
