/**
 * How packets leave, as the forwarder sees it: hops, which are numbers. A hop says over which interface and to which neighbour; it is
 * valid until the host's routes change.
 */
export const NO_HOP = -1;

/** Where a hop ends. `loopback`: an address that no packet from outside may be sent to. */
export const Place = { remote: 0, local: 1, loopback: 2 } as const;
export type Place = (typeof Place)[keyof typeof Place];

export interface Egress {
  /** The hop to a destination's real server, or NO_HOP when there is no route. */
  serverHop(destination: number): number;
  /** The hop to any address, or NO_HOP. May ask the kernel. */
  hopTo(address: Int32Array, family: 4 | 6): number;
  valid(hop: number): boolean;
  /** Where packets to this address end, which leave by this hop. */
  place(hop: number, address: Int32Array, family: 4 | 6): Place;
  /** Bytes of the largest IP packet that gets to this address by this hop. */
  mtuTo(address: Int32Array, family: 4 | 6, hop: number): number;
  /** This host's own address towards the hop. */
  source(hop: number): Int32Array;
  /** Whether this is an address of this host: a VIP, the DIP. */
  isOwn(address: Int32Array, family: 4 | 6): boolean;
  /** A router told how large packets to this address may be. */
  learnMtu(address: Int32Array, family: 4 | 6, mtu: number): void;
  /** Sends an IP packet; what lies within 14 bytes before it in `bytes` may be overwritten. */
  send(hop: number, bytes: Uint8Array, at: number, length: number): void;
  /** Gives an IP packet to this host's own stack, as if it had come from outside. */
  local(bytes: Uint8Array, at: number, length: number): void;
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(address: Int32Array, family: 4 | 6): boolean {
  if (family === 4) return (address[0] as number) >>> 24 === 127;
  return address[0] === 0 && address[1] === 0 && address[2] === 0 && address[3] === 1;
}
