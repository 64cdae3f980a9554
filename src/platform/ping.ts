/**
 * ICMP echo (RFC 792) and ICMPv6 echo (RFC 4443) through `raw-socket`. The kernel hands every raw socket a copy of every
 * ICMP packet, so all pings of one family that are under way share one socket; it is closed with the last of them.
 */
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import type { Clock, Timer } from '../util/clock.ts';
import type { Address, Family } from '../util/ip.ts';
import { familyOf } from '../util/ip.ts';

/** The part of the package that is used here; it has no types of its own. */
export interface RawSocketModule {
  createSocket(options: { protocol: number; addressFamily: number; bufferSize: number }): RawSocket;
  createChecksum(buffer: Buffer): number;
  writeChecksum(buffer: Buffer, offset: number, checksum: number): Buffer;
}

interface RawSocket {
  on(event: 'message', listener: (packet: Buffer, source: string) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  send(
    buffer: Buffer,
    offset: number,
    length: number,
    address: Address,
    sent: (error: Error | null, bytes: number) => void,
  ): void;
  close(): void;
}

interface Kind {
  /** `raw-socket`'s number of the address family. */
  readonly addressFamily: number;
  readonly protocol: number;
  readonly request: number;
  readonly reply: number;
}

const kinds: Readonly<Record<Family, Kind>> = {
  inet: { addressFamily: 1, protocol: 1, request: 8, reply: 0 },
  inet6: { addressFamily: 2, protocol: 58, request: 128, reply: 129 },
};

const headerBytes = 8;
const dataBytes = 64;
/** Random, at the start of the data: tells our replies from those to everybody else's pings. */
const tokenBytes = 8;

interface Waiting {
  answered(): void;
  failed(error: Error): void;
}

export interface Attempts {
  readonly count: number;
  /** From one request to the next. */
  readonly milliseconds: number;
}

/** Resolves with the first reply. Rejects with the signal's reason, or when nothing can be sent. Needs CAP_NET_RAW. */
export type Ping = (address: Address, attempts: Attempts, signal: AbortSignal) => Promise<void>;

/** `raw-socket` is loaded at the first ping, so that who never pings needs neither it nor root. */
export function createPing(clock: Clock, load = loadRawSocket): Ping {
  let raw: RawSocketModule | undefined;
  const sockets = new Map<Family, EchoSocket>();
  return async (address, attempts, signal) => {
    signal.throwIfAborted();
    raw ??= load();
    const family = familyOf(address);
    const socket = sockets.get(family) ?? new EchoSocket(raw, kinds[family], () => sockets.delete(family));
    sockets.set(family, socket);
    await socket.ping(address, attempts, signal, clock);
  };
}

function loadRawSocket(): RawSocketModule {
  return createRequire(import.meta.url)('raw-socket') as RawSocketModule;
}

class EchoSocket {
  readonly #raw: RawSocketModule;
  readonly #kind: Kind;
  readonly #socket: RawSocket;
  readonly #closed: () => void;
  readonly #waiting = new Map<string, Waiting>();

  /** @throws when the kernel gives no raw socket */
  constructor(raw: RawSocketModule, kind: Kind, closed: () => void) {
    this.#raw = raw;
    this.#kind = kind;
    this.#closed = closed;
    this.#socket = raw.createSocket({
      protocol: kind.protocol,
      addressFamily: kind.addressFamily,
      bufferSize: 65536,
    });
    this.#socket.on('message', (packet) => {
      this.#receive(packet);
    });
    this.#socket.on('error', (error) => {
      for (const waiting of this.#waiting.values()) waiting.failed(error);
    });
  }

  ping(address: Address, attempts: Attempts, signal: AbortSignal, clock: Clock): Promise<void> {
    const token = randomBytes(tokenBytes);
    const key = token.toString('hex');
    let next: Timer | undefined;
    let giveUp: (() => void) | undefined;
    return new Promise<void>((answered, failed) => {
      giveUp = () => {
        failed(signal.reason as Error);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiting.set(key, { answered, failed });
      const send = (sequence: number): void => {
        this.#send(address, token, sequence, failed);
        if (sequence >= attempts.count) return;
        next = clock.after(attempts.milliseconds, () => {
          send(sequence + 1);
        });
      };
      send(1);
    }).finally(() => {
      next?.cancel();
      if (giveUp !== undefined) signal.removeEventListener('abort', giveUp);
      this.#waiting.delete(key);
      if (this.#waiting.size > 0) return;
      this.#closed();
      this.#socket.close();
    });
  }

  #send(address: Address, token: Buffer, sequence: number, failed: (error: Error) => void): void {
    const packet = Buffer.alloc(headerBytes + dataBytes);
    packet[0] = this.#kind.request;
    token.copy(packet, 4, 0, 2);
    packet.writeUInt16BE(sequence & 0xffff, 6);
    token.copy(packet, headerBytes);
    // The ICMPv6 checksum covers addresses that only the kernel knows; it fills that one in.
    if (this.#kind === kinds.inet) this.#raw.writeChecksum(packet, 2, this.#raw.createChecksum(packet));
    this.#socket.send(packet, 0, packet.length, address, (error) => {
      if (error !== null) failed(error);
    });
  }

  #receive(packet: Buffer): void {
    // IPv4 comes with its IP header, IPv6 without.
    const start = this.#kind === kinds.inet ? ((packet[0] ?? 0) & 0x0f) * 4 : 0;
    if (packet[start] !== this.#kind.reply) return;
    const token = packet.toString('hex', start + headerBytes, start + headerBytes + tokenBytes);
    this.#waiting.get(token)?.answered();
  }
}
