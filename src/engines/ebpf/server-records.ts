/**
 * What BPF programs must know of each destination beyond the pool: where it is and how packets get there, one record a pool slot. The
 * programs keep in it what they learn about the way.
 */
import type {
  Destination,
  DestinationId,
  DestinationSettings,
  Forwarding,
  Tunnel,
} from '../../director/table.ts';
import type { Pool } from '../../scheduling/pool.ts';
import type { Address } from '../../util/ip.ts';
import { addressBytes, familyOf, formatAddress } from '../../util/ip.ts';
import { Method, methodOf } from '../service-facts.ts';
import { Hop, Server } from './layout.ts';

const forwardings: Readonly<Record<Method, Forwarding>> = {
  [Method.masq]: 'masq',
  [Method.local]: 'local',
  [Method.tunnel]: 'ipip',
  [Method.direct]: 'gate',
};
const tunnels: readonly Tunnel['type'][] = ['ipip', 'gue', 'gre'];
const checksums: readonly Tunnel['checksum'][] = ['nocsum', 'csum', 'remcsum'];

export class ServerRecords {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;

  /** @param memory of the map `servers` */
  constructor(memory: ArrayBuffer) {
    this.#view = new DataView(memory);
    this.#bytes = new Uint8Array(memory);
    this.#words = new Uint32Array(memory);
  }

  /** A slot starts a new life. */
  clear(slot: number): void {
    this.#bytes.fill(0, slot * Server.bytes, (slot + 1) * Server.bytes);
  }

  /** @param serial of its service */
  set(slot: number, id: DestinationId, settings: DestinationSettings, serial: number): void {
    const at = slot * Server.bytes;
    const view = this.#view;
    const { type, port, checksum } = settings.tunnel;
    this.#bytes.set(addressBytes(id.address), at + Server.address);
    view.setUint16(at + Server.port, id.port, true);
    view.setUint8(at + Server.method, methodOf(settings.forwarding));
    view.setUint8(at + Server.tunnel, tunnels.indexOf(type));
    view.setUint8(at + Server.tunnelChecksum, checksums.indexOf(checksum));
    view.setUint16(at + Server.tunnelPort, port, true);
    view.setUint32(at + Server.serial, serial, true);
    view.setUint8(at + Server.family, familyOf(id.address) === 'inet' ? 4 : 6);
  }

  /** No destination any more: programs that know the way to it would go on without asking. */
  forgetWay(slot: number): void {
    this.#view.setUint16(slot * Server.bytes + Server.hop + Hop.second, 0, true);
  }

  /** Of the service that the destination belongs, or belonged, to. */
  serial(slot: number): number {
    return this.#view.getUint32(slot * Server.bytes + Server.serial, true);
  }

  /** How often clients asked it again and had no reply, since the last call, and the last of them; undefined for never. */
  takeUnanswered(slot: number): { readonly times: number; readonly client: Address } | undefined {
    const at = slot * Server.bytes;
    const times = Atomics.exchange(this.#words, (at + Server.unanswered) / 4, 0);
    if (times === 0) return undefined;
    const family = this.#view.getUint8(at + Server.family);
    return { times, client: this.#address(at + Server.unansweredClient, family) };
  }

  address(slot: number): Address {
    const at = slot * Server.bytes;
    return this.#address(at + Server.address, this.#view.getUint8(at + Server.family));
  }

  /** The destination in this slot; undefined when its record was never finished. */
  read(slot: number, pool: Pool): Destination | undefined {
    const at = slot * Server.bytes;
    const view = this.#view;
    const family = view.getUint8(at + Server.family);
    const port = view.getUint16(at + Server.port, true);
    if (family !== pool.family(slot) || port !== pool.port(slot)) return undefined;
    const { upper, lower } = pool.thresholds(slot);
    const type = tunnels[view.getUint8(at + Server.tunnel)] ?? 'ipip';
    const checksum = checksums[view.getUint8(at + Server.tunnelChecksum)] ?? 'nocsum';
    return {
      id: { address: this.#address(at + Server.address, family), port },
      forwarding: forwardings[view.getUint8(at + Server.method) as Method],
      weight: pool.weight(slot),
      upperThreshold: upper,
      lowerThreshold: lower,
      tunnel: { type, port: view.getUint16(at + Server.tunnelPort, true), checksum },
    };
  }

  #address(at: number, family: number): Address {
    return formatAddress(this.#bytes.slice(at, at + (family === 4 ? 4 : 16)));
  }
}
