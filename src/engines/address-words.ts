/** Addresses between text and the four host-order words in which packets are compared; IPv4 in word 0. Not for the hot path. */
import type { Address } from '../util/ip.ts';
import { addressBytes, familyOf, formatAddress, ipv4Word } from '../util/ip.ts';

export interface AddressWords {
  readonly family: 4 | 6;
  readonly words: Int32Array;
}

export function addressWords(address: Address): AddressWords {
  const words = new Int32Array(4);
  if (familyOf(address) === 'inet') {
    words[0] = ipv4Word(address);
    return { family: 4, words };
  }
  const bytes = addressBytes(address);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; at += 4) words[at / 4] = view.getInt32(at);
  return { family: 6, words };
}

export function wordsAddress(words: Int32Array, family: 4 | 6): Address {
  if (family === 4) {
    const word = words[0] ?? 0;
    return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
  }
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 4) view.setInt32(at, words[at / 4] ?? 0);
  return formatAddress(bytes);
}
