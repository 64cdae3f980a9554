/**
 * IP packets into the kernel's own routing, with the header that the caller wrote (raw(7), IPPROTO_RAW), through the
 * package `raw-socket`. For links without frames, for policy routing, and for this host's own stack.
 */
import { createRequire } from 'node:module';
import type { Address } from '../util/ip.ts';

export interface RawSender {
  /**
   * Hands a packet to the kernel, which routes it by `destination` (not by the header) and never fragments it.
   * The kernel fills in IPv4's header checksum, and the identification where it is 0; transport checksums are the caller's.
   * @returns the kernel's words when it refuses: `Message too long`, `Network is unreachable`
   */
  send(packet: Buffer, at: number, length: number, destination: Address): string | undefined;
  close(): void;
}

/** The part of the package that is used here; it has no types of its own. */
interface RawSocketModule {
  createSocket(options: { protocol: number; addressFamily: number; bufferSize: number }): RawSocket;
}

interface RawSocket {
  readonly wrap: SocketWrap;
  pauseRecv(): void;
  setOption(level: number, option: number, value: number): void;
  close(): void;
}

/** The native object behind a socket. Its send is one system call; the package's own queue sends one packet a loop turn. */
interface SocketWrap {
  send(buffer: Buffer, at: number, length: number, address: Address, sent: (bytes: number) => void): void;
}

const IPPROTO_RAW = 255;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_MARK = 36;
const sendBufferBytes = 4 << 20;
/** For receiving, which this socket never does. */
const leastBufferBytes = 64;

/**
 * Needs CAP_NET_RAW, and CAP_NET_ADMIN for a mark.
 * @param mark firewall mark of the packets (policy routing, netfilter rules), 0 for none
 * @throws when the package is missing or the kernel gives no such socket
 */
export function openRawSender(family: 4 | 6, mark: number): RawSender {
  const raw = createRequire(import.meta.url)('raw-socket') as RawSocketModule;
  const socket = raw.createSocket({
    protocol: IPPROTO_RAW,
    addressFamily: family === 4 ? 1 : 2,
    bufferSize: leastBufferBytes,
  });
  // Nothing arrives on a socket of this protocol, but polling it would keep the process alive.
  socket.pauseRecv();
  let open = true;
  const close = (): void => {
    if (open) socket.close();
    open = false;
  };
  try {
    if (mark !== 0) socket.setOption(SOL_SOCKET, SO_MARK, mark);
    socket.setOption(SOL_SOCKET, SO_SNDBUFFORCE, sendBufferBytes);
  } catch (error) {
    close();
    throw error;
  }
  const { wrap } = socket;
  return {
    send: (packet, at, length, destination) => {
      // The package would open a new socket, without the mark; and it reads beyond a buffer that is too short.
      if (!open) return 'the raw socket is closed';
      if (at + length > packet.length) return 'the packet is longer than its buffer';
      try {
        wrap.send(packet, at, length, destination, ignoreBytes);
        return undefined;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
    close,
  };
}

function ignoreBytes(): void {
  // A raw socket sends a packet whole or not at all.
}
