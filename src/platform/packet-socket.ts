/**
 * The AF_PACKET socket (packet(7)) inside a capture handle. libpcap and cap hide it, but it has options that they do not
 * offer: drop counters, a filter that is exchanged in one step, sharing among processes.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import koffi from 'koffi';
import * as libc from './libc.ts';

const nameToIndex = koffi.load('libc.so.6').func('unsigned int if_nametoindex(const char *)') as (
  name: string,
) => number;

const SO_ATTACH_FILTER = 26;
const SO_SNDBUFFORCE = 32;
const SO_DOMAIN = 39;
const AF_PACKET = 17;
const SOL_PACKET = 263;
const PACKET_DROP_MEMBERSHIP = 2;
const PACKET_STATISTICS = 6;
const PACKET_VERSION = 10;
const PACKET_FANOUT = 18;
const PACKET_FANOUT_DATA = 22;
const PACKET_IGNORE_OUTGOING = 23;

const PACKET_MR_PROMISC = 1;
const TPACKET_V3 = 2;
const fanoutHash = 0;
const fanoutByProgram = 6;
const fanoutIgnoresOutgoing = 0x4000;

const filterInstructionBytes = 8;
const rejectAll = new Uint8Array([6, 0, 0, 0, 0, 0, 0, 0]);

export interface PacketStatistics {
  readonly received: number;
  readonly dropped: number;
}

/** 0 when there is no such interface. */
export function interfaceIndex(name: string): number {
  return nameToIndex(name);
}

/** Runs `open` and finds the packet socket that it left open. */
export function packetSocketOf<Result>(open: () => Result): readonly [Result, PacketSocket] {
  const before = new Set(readdirSync('/proc/self/fd'));
  const result = open();
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (!before.has(name) && isSocket(name) && option(fd, libc.SOL_SOCKET, SO_DOMAIN) === AF_PACKET)
      return [result, new PacketSocket(fd)];
  }
  throw new Error('libpcap opened no packet socket');
}

export class PacketSocket {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Exchanges the filter (struct sock_filter[]) in one step: each frame meets the old one or the new one. */
  attachFilter(program: Uint8Array): void {
    this.#set(libc.SOL_SOCKET, SO_ATTACH_FILTER, filterProgram(program));
  }

  rejectEverything(): void {
    this.attachFilter(rejectAll);
  }

  /** Frames that the filter accepted since the last call: put into the ring, and lost because it was full. */
  statistics(): PacketStatistics {
    const counts = new Uint32Array(3);
    libc.getsockopt(
      this.fd,
      SOL_PACKET,
      PACKET_STATISTICS,
      new Uint8Array(counts.buffer),
      new Uint8Array(Uint32Array.of(counts.byteLength).buffer),
    );
    const [accepted = 0, dropped = 0] = counts;
    return { received: accepted - dropped, dropped };
  }

  /** Does the kernel hold frames back until a block is full or a second is over (libpcap without immediate mode)? */
  get delaysFrames(): boolean {
    return option(this.fd, SOL_PACKET, PACKET_VERSION) === TPACKET_V3;
  }

  /** libpcap's handle needs no promiscuous mode where only frames to this host count. */
  leavePromiscuousMode(index: number): void {
    this.#set(SOL_PACKET, PACKET_DROP_MEMBERSHIP, words(index, PACKET_MR_PROMISC, 0, 0));
  }

  /** Spares the copy of every sent frame. Before Linux 4.20 there is no such option: the filter rejects them. */
  ignoreOutgoing(): void {
    this.#try(SOL_PACKET, PACKET_IGNORE_OUTGOING, words(1));
  }

  /** Room for frames on their way to the wire; more than net.core.wmem_max allows needs CAP_NET_ADMIN. */
  growSendBuffer(bytes: number): void {
    this.#try(libc.SOL_SOCKET, SO_SNDBUFFORCE, words(bytes));
  }

  /**
   * Shares the interface's frames with the other processes of the group: by flow hash (both directions alike), or by what
   * `program` returns, modulo their number, in the order in which they joined.
   */
  joinFanout(group: number, program: Uint8Array | undefined): void {
    const mode = program === undefined ? fanoutHash : fanoutByProgram;
    const joined =
      this.#try(SOL_PACKET, PACKET_FANOUT, words(group | ((mode | fanoutIgnoresOutgoing) << 16))) ||
      this.#try(SOL_PACKET, PACKET_FANOUT, words(group | (mode << 16)));
    if (!joined) throw new Error(`fanout group ${group}: ${libc.errorText(libc.errno())}`);
    if (program !== undefined) this.#set(SOL_PACKET, PACKET_FANOUT_DATA, filterProgram(program));
  }

  #set(level: number, name: number, value: Uint8Array): void {
    if (!this.#try(level, name, value)) throw new Error(libc.errorText(libc.errno()));
  }

  #try(level: number, name: number, value: Uint8Array): boolean {
    return libc.setsockopt(this.fd, level, name, value, value.length) === 0;
  }
}

/** struct sock_fprog. The caller's program must live until the call that uses it returns. */
function filterProgram(program: Uint8Array): Uint8Array {
  const value = new BigUint64Array(2);
  new Uint16Array(value.buffer)[0] = program.length / filterInstructionBytes;
  value[1] = koffi.address(program);
  return new Uint8Array(value.buffer);
}

function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function isSocket(fd: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
  } catch {
    return false; // the descriptor of the listing itself
  }
}

function option(fd: number, level: number, name: number): number {
  const value = new Int32Array(1);
  const length = new Uint8Array(Uint32Array.of(4).buffer);
  const failed = libc.getsockopt(fd, level, name, new Uint8Array(value.buffer), length) < 0;
  return failed ? -1 : (value[0] ?? -1);
}
