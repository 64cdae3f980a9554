/**
 * Features of network interfaces by name, as `ethtool -k` knows them (ETHTOOL_GFEATURES and its kin, linux/ethtool.h).
 * The interfaces are those of the network namespace of the calling thread.
 */
import koffi from 'koffi';
import * as libc from './libc.ts';

const ioctl = koffi.load('libc.so.6').func('int ioctl(int, unsigned long, void *)') as (
  fd: number,
  request: number,
  argument: Uint8Array,
) => number;

const SIOCETHTOOL = 0x8946;
const ETHTOOL_GSTRINGS = 0x1b;
const ETHTOOL_GSSET_INFO = 0x37;
const ETHTOOL_GFEATURES = 0x3a;
const ETHTOOL_SFEATURES = 0x3b;
const ETH_SS_FEATURES = 4;
const nameBytes = 32;
const interfaceNameBytes = 16;
const requestBytes = 40;

export interface Feature {
  readonly name: string;
  /** Can be switched on this interface. */
  readonly changeable: boolean;
  readonly active: boolean;
}

export class Ethtool {
  readonly #interface: string;
  readonly #names: readonly string[];

  /** @throws when there is no such interface */
  constructor(interfaceName: string) {
    this.#interface = interfaceName;
    this.#names = this.#featureNames();
  }

  features(): readonly Feature[] {
    const blocks = this.#blocks;
    // Per 32 features: available, requested, active, never changed.
    const answer = this.#call(ETHTOOL_GFEATURES, 2 + 4 * blocks, [blocks]);
    const bit = (i: number, field: number): boolean =>
      (((answer[2 + 4 * (i >> 5) + field] ?? 0) >>> (i & 31)) & 1) === 1;
    return this.#names.map((name, i) => ({ name, changeable: bit(i, 0), active: bit(i, 2) }));
  }

  /** Asks for the features to be on or off; features() tells what came of it. @throws when the kernel refuses to talk */
  set(names: readonly string[], on: boolean): void {
    const blocks = this.#blocks;
    const request = new Array<number>(1 + 2 * blocks).fill(0);
    request[0] = blocks;
    for (const name of names) {
      const i = this.#names.indexOf(name);
      if (i < 0) continue;
      const valid = 1 + 2 * (i >> 5);
      const bit = 1 << (i & 31);
      request[valid] = (request[valid] ?? 0) | bit;
      if (on) request[valid + 1] = (request[valid + 1] ?? 0) | bit;
    }
    this.#call(ETHTOOL_SFEATURES, 2 + 2 * blocks, request);
  }

  get #blocks(): number {
    return (this.#names.length + 31) >> 5;
  }

  #featureNames(): readonly string[] {
    // struct ethtool_sset_info: reserved, a 64-bit mask of string sets, then the counts.
    const count = this.#call(ETHTOOL_GSSET_INFO, 5, [0, 1 << ETH_SS_FEATURES, 0])[4] ?? 0;
    const words = this.#call(ETHTOOL_GSTRINGS, 3 + (count * nameBytes) / 4, [ETH_SS_FEATURES, count]);
    const text = Buffer.from(words.buffer, 12);
    return Array.from({ length: count }, (_, i) => {
      const name = text.toString('latin1', i * nameBytes, (i + 1) * nameBytes);
      return name.slice(0, name.indexOf('\0'));
    });
  }

  /** @returns the command's structure after the call, as 32-bit words */
  #call(command: number, length: number, words: readonly number[]): Uint32Array {
    const data = new Uint32Array(length);
    data.set([command, ...words]);
    const request = Buffer.alloc(requestBytes);
    request.write(this.#interface.slice(0, interfaceNameBytes - 1), 'latin1');
    new BigUint64Array(request.buffer, request.byteOffset + interfaceNameBytes, 1)[0] = koffi.address(data);
    const fd = libc.socket(libc.AF_INET, libc.SOCK_DGRAM | libc.SOCK_CLOEXEC, 0);
    const failed = ioctl(fd, SIOCETHTOOL, request) < 0;
    const reason = libc.errorText(libc.errno());
    libc.close(fd);
    if (failed) throw new Error(`${this.#interface}: ethtool: ${reason}`);
    return data;
  }
}
