/**
 * Frames of one interface, in and out, through the package `cap` (libpcap). What cap does not do is done on its socket: a
 * filter that changes under traffic without a frame lost, drop counters, links that go down, sharing among processes.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { shieldFromErrors } from './error-proof-poll.ts';
import type { PacketStatistics } from './packet-socket.ts';
import { interfaceIndex, packetSocketOf } from './packet-socket.ts';
import { withQuietStderr } from './quiet-stderr.ts';

export interface CaptureEvents {
  /**
   * One frame, at the start of a buffer that the next frame overwrites. Never called before the first setFilter().
   * `truncated` is cap's word and says nothing about frames that the ring cut (larger than MTU or 65535 bytes): compare
   * the IP length with `length`.
   */
  frame(buffer: Buffer, length: number, truncated: boolean): void;
}

export interface CaptureOptions {
  /** Of the kernel's ring. A frame takes a slot of MTU size, or of 64 KiB while an offload that merges frames is on. */
  readonly ringBytes: number;
  /** PACKET_FANOUT group, 16 bits: several processes share the interface. */
  readonly fanout?: number;
  /** Classic BPF that chooses the process; without it the kernel's flow hash does. */
  readonly fanoutProgram?: Uint8Array;
}

export interface Capture {
  readonly link: 'ethernet' | 'raw' | 'other';
  /** Most instructions that a filter may have here. */
  readonly filterRoom: number;
  /** Sends a whole frame. @throws when the kernel refuses it: too long, link down, queue full */
  send(frame: Buffer, length: number): void;
  /** Classic BPF (struct sock_filter[]), exchanged in one step. Frames already in the ring still arrive. */
  setFilter(program: Uint8Array): void;
  /** Since the last call. */
  statistics(): PacketStatistics;
  close(): void;
}

/** The part of the package that is used here; it has no types of its own. */
export interface CapModule {
  readonly Cap: new () => Cap;
}

interface Cap {
  /** cap calls the `emit` that it found when the object was made, with ('packet', length, truncated). */
  emit(event: string, length: number, truncated: boolean): void;
  open(device: string, filter: string, ringBytes: number, buffer: Buffer): string;
  send(frame: Buffer, length: number): void;
  close(): boolean;
}

const frameBytes = 65536;
const sendBufferBytes = 4 << 20;
const kernelInstructionBytes = 8;
const tagged = 0x8100;
const addressesBytes = 12;
const tagBytes = 4;

/** cap's objects hold a libuv handle by value and never take it out of the loop: none may ever be garbage. */
const immortal: Cap[] = [];

/**
 * Opens a capture that delivers nothing until it has a filter. Needs CAP_NET_RAW and CAP_NET_ADMIN.
 * @throws in words for people: package or libpcap missing, no such interface, no permission, link down
 */
export function openCapture(
  interfaceName: string,
  options: CaptureOptions,
  events: CaptureEvents,
  load = requireCap,
): Capture {
  const { Cap } = loaded(load);
  const index = interfaceIndex(interfaceName);
  if (index === 0) throw new Error(`there is no interface ${interfaceName}`);
  const buffer = Buffer.alloc(frameBytes);
  let stale = 0;
  class Receiver extends Cap {
    override emit(_event: string, length: number, truncated: boolean): void {
      if (stale > 0) stale--;
      else if (buffer.readUInt16BE(addressesBytes) === tagged && link === 'ethernet')
        events.frame(buffer, withoutTag(buffer, length), truncated);
      else events.frame(buffer, length, truncated);
    }
  }
  const cap = new Receiver();
  immortal.push(cap);
  const [linkType, socket] = packetSocketOf(() =>
    withQuietStderr(() => {
      try {
        return cap.open(interfaceName, '', options.ringBytes, buffer);
      } catch (error) {
        throw new Error(`cannot capture on ${interfaceName}: ${messageOf(error)}`, { cause: error });
      }
    }),
  );
  const shield = shieldFromErrors(socket.fd);
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    cap.close();
    shield.close();
  };
  /** cap would crash, and the descriptor may be somebody else's by now. */
  const checkOpen = (): void => {
    if (!open) throw new Error(`the capture on ${interfaceName} is closed`);
  };
  const link = linkType === 'ETHERNET' ? 'ethernet' : linkType === 'RAW' ? 'raw' : 'other';
  try {
    socket.rejectEverything();
    stale = socket.statistics().received;
    if (socket.delaysFrames)
      throw new Error('libpcap without immediate mode delays frames (Debian: apt-get install libpcap-dev)');
    socket.leavePromiscuousMode(index);
    socket.ignoreOutgoing();
    socket.growSendBuffer(sendBufferBytes);
    if (options.fanout !== undefined) socket.joinFanout(options.fanout, options.fanoutProgram);
  } catch (error) {
    close();
    throw new Error(`cannot capture on ${interfaceName}: ${messageOf(error)}`, { cause: error });
  }
  return {
    link,
    filterRoom: filterRoom(),
    send: (frame, length) => {
      checkOpen();
      cap.send(frame, length);
    },
    setFilter: (program) => {
      checkOpen();
      socket.attachFilter(program);
    },
    statistics: () => {
      checkOpen();
      return socket.statistics();
    },
    close,
  };
}

function requireCap(): CapModule {
  return createRequire(import.meta.url)('cap') as CapModule;
}

function loaded(load: () => CapModule): CapModule {
  try {
    return load();
  } catch (error) {
    throw new Error(
      'the packet engine needs the npm package cap, built against libpcap ' +
        `(Debian: apt-get install libpcap-dev g++ make python3, then npm rebuild cap): ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** A tag that the filter let through carries a priority and no VLAN. @returns the length without it */
function withoutTag(buffer: Buffer, length: number): number {
  buffer.copyWithin(addressesBytes, addressesBytes + tagBytes, length);
  return length - tagBytes;
}

/** The kernel keeps the old and the new filter at once, in memory that it limits, and may need two for one instruction. */
function filterRoom(): number {
  const limit = Number(readFileSync('/proc/sys/net/core/optmem_max', 'utf8'));
  return Math.floor(limit / 2 / kernelInstructionBytes / 2);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
}
