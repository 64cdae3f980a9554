/** IP packets that wait for a neighbour's MAC address, as frames whose Ethernet header is yet to be written. */
import { ETHERNET_HEADER } from '../../../wire/ethernet.ts';

const MOST_EACH = 64;
const MOST = 1024;
/** Milliseconds that a packet may wait. */
const PATIENCE = 3000;

interface Waiting {
  readonly frame: Buffer;
  readonly until: number;
}

export class Backlog {
  readonly #waiting = new Map<number, Waiting[]>();
  #count = 0;
  /** Packets that were given up. */
  dropped = 0;

  /** Of a neighbour's packets the oldest goes when there are too many, as in Linux. @returns false when all is full */
  add(neighbour: number, packet: Uint8Array, at: number, length: number, now: number): boolean {
    const queue = this.#waiting.get(neighbour) ?? [];
    if (queue.length === MOST_EACH) {
      queue.shift();
      this.#count--;
      this.dropped++;
    } else if (this.#count >= MOST) {
      this.dropped++;
      return false;
    }
    queue.push({ frame: this.copy(packet, at, length), until: now + PATIENCE });
    this.#waiting.set(neighbour, queue);
    this.#count++;
    return true;
  }

  /** The packet with room for an Ethernet header before it. */
  copy(packet: Uint8Array, at: number, length: number): Buffer {
    const frame = Buffer.allocUnsafe(ETHERNET_HEADER + length);
    frame.set(packet.subarray(at, at + length), ETHERNET_HEADER);
    return frame;
  }

  /** What waits for the neighbour, oldest first; it waits no longer. */
  take(neighbour: number): readonly Buffer[] {
    const queue = this.#waiting.get(neighbour);
    if (queue === undefined) return [];
    this.#waiting.delete(neighbour);
    this.#count -= queue.length;
    return queue.map(({ frame }) => frame);
  }

  drop(neighbour: number): void {
    this.dropped += this.take(neighbour).length;
  }

  expire(now: number): void {
    for (const [neighbour, queue] of this.#waiting) {
      const stay = queue.filter(({ until }) => now < until);
      const gone = queue.length - stay.length;
      this.dropped += gone;
      this.#count -= gone;
      if (stay.length === 0) this.#waiting.delete(neighbour);
      else if (gone > 0) this.#waiting.set(neighbour, stay);
    }
  }
}
