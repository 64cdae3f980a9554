/**
 * What identifies a connection: protocol, client and virtual endpoint, packed into ten words that are reused for every
 * packet. It is also the flow that schedulers hash. Hot path, except for the methods that speak text.
 */
import { addressBytes, familyOf, formatAddress } from '../util/ip.ts';
import type { Address } from '../util/ip.ts';

/** Words: protocol | family << 8, client address x4, virtual address x4, client port << 16 | virtual port. */
export const KEY_WORDS = 10;
const CLIENT = 1;
const VIRTUAL = 5;
const PORTS = 9;

export class ConnectionKey {
  readonly words = new Int32Array(KEY_WORDS);
  /** Client address: 4 words in host order, IPv4 in word 0 and 0 in the others. */
  readonly client = this.words.subarray(CLIENT, CLIENT + 4);
  /** Virtual address, likewise. */
  readonly virtual = this.words.subarray(VIRTUAL, VIRTUAL + 4);
  /** Of the flow, not of its identity: when it came, in seconds (see `Flow`). Set by whoever schedules. */
  now = 0;

  /** IP protocol number. */
  get protocol(): number {
    return (this.words[0] ?? 0) & 0xff;
  }

  set protocol(protocol: number) {
    this.words[0] = ((this.words[0] ?? 0) & ~0xff) | protocol;
  }

  get family(): 4 | 6 {
    return (this.words[0] ?? 0) >> 8 === 6 ? 6 : 4;
  }

  set family(family: 4 | 6) {
    this.words[0] = this.protocol | (family << 8);
  }

  get clientPort(): number {
    return (this.words[PORTS] ?? 0) >>> 16;
  }

  set clientPort(port: number) {
    this.words[PORTS] = (port << 16) | this.virtualPort;
  }

  get virtualPort(): number {
    return (this.words[PORTS] ?? 0) & 0xffff;
  }

  set virtualPort(port: number) {
    this.words[PORTS] = ((this.words[PORTS] ?? 0) & ~0xffff) | port;
  }

  /** Fills the key from text; both addresses are of one family. Allocates. */
  set(protocol: number, client: Address, clientPort: number, virtual: Address, virtualPort: number): this {
    this.words[0] = protocol | ((familyOf(client) === 'inet' ? 4 : 6) << 8);
    writeAddress(this.client, client);
    writeAddress(this.virtual, virtual);
    this.words[PORTS] = (clientPort << 16) | virtualPort;
    return this;
  }

  /** Allocates. */
  clientAddress(): Address {
    return readAddress(this.client, this.family);
  }

  /** Allocates. */
  virtualAddress(): Address {
    return readAddress(this.virtual, this.family);
  }
}

function writeAddress(words: Int32Array, address: Address): void {
  const bytes = addressBytes(address);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  words.fill(0);
  for (let at = 0; at < bytes.length; at += 4) words[at / 4] = view.getInt32(at);
}

function readAddress(words: Int32Array, family: 4 | 6): Address {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 4) view.setInt32(at, words[at / 4] ?? 0);
  return formatAddress(bytes);
}
