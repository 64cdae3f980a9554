/** `struct sockaddr_in` and `sockaddr_in6` as bytes, and back. */
import * as c from '../../platform/libc.ts';
import type { Pool } from '../../scheduling/pool.ts';
import type { Address, Family } from '../../util/ip.ts';
import { addressBytes, familyOf } from '../../util/ip.ts';

const SOCKADDR_BYTES = 28;

/** Length of a family's sockaddr. */
function sockaddrLength(family: Family): number {
  return family === 'inet' ? 16 : 28;
}

export function addressFamilyNumber(family: Family): number {
  return family === 'inet' ? c.AF_INET : c.AF_INET6;
}

export function encodeSockaddr(address: Address, port: number): Uint8Array {
  const family = familyOf(address);
  const bytes = new Uint8Array(sockaddrLength(family));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, addressFamilyNumber(family), true);
  view.setUint16(2, port);
  bytes.set(addressBytes(address), family === 'inet' ? 4 : 8);
  return bytes;
}

/** Reads a sockaddr that the kernel filled in, without allocating. */
export class SockaddrReader {
  readonly bytes = new Uint8Array(SOCKADDR_BYTES);
  /** `socklen_t` in and out of accept and recvfrom. */
  readonly length = new Uint8Array(4);
  readonly #view = new DataView(this.bytes.buffer);
  readonly #lengthView = new DataView(this.length.buffer);

  /** Before each call: tells the kernel how much room there is. */
  reset(): void {
    this.#lengthView.setInt32(0, SOCKADDR_BYTES, true);
  }

  get port(): number {
    return this.#view.getUint16(2);
  }

  /** Four host-order words of the address; IPv4 is word 0. */
  words(into: Int32Array): void {
    if (this.#view.getUint16(0, true) === c.AF_INET) {
      into[0] = this.#view.getInt32(4);
      into[1] = into[2] = into[3] = 0;
      return;
    }
    for (let word = 0; word < 4; word++) into[word] = this.#view.getInt32(8 + 4 * word);
  }
}

/** The sockaddr of a destination in the pool. */
export function destinationSockaddr(pool: Pool, destination: number): Uint8Array {
  const family = pool.family(destination) === 4 ? 'inet' : 'inet6';
  const bytes = new Uint8Array(sockaddrLength(family));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, addressFamilyNumber(family), true);
  view.setUint16(2, pool.port(destination));
  if (family === 'inet') view.setInt32(4, pool.addressWord(destination, 0));
  else for (let word = 0; word < 4; word++) view.setInt32(8 + 4 * word, pool.addressWord(destination, word));
  return bytes;
}
