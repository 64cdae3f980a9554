/** The virtual side of a service's connections, ready to be written into their keys. Hot path. */
import type { ConnectionKey } from '../../connections/connection-key.ts';
import { addressWords } from '../address-words.ts';
import type { ListenerSpec } from './protocol.ts';
import type { SockaddrReader } from './socket-address.ts';

export class VirtualEnd {
  readonly family: 4 | 6;
  readonly #protocol: number;
  readonly #address: Int32Array;
  readonly #port: number;

  /** @param protocol IP protocol number */
  constructor({ address, port }: ListenerSpec, protocol: number) {
    const { family, words } = addressWords(address);
    this.family = family;
    this.#protocol = protocol;
    this.#address = words;
    this.#port = port;
  }

  /** Makes `key` the connection of the client that was just read. */
  name(key: ConnectionKey, client: SockaddrReader): void {
    key.protocol = this.#protocol;
    key.family = this.family;
    client.words(key.client);
    key.clientPort = client.port;
    key.virtual.set(this.#address);
    key.virtualPort = this.#port;
  }
}
