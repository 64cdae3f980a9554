/**
 * What BPF programs must know of each virtual service beyond the pool: written as one record a pool slot, and read back by a daemon that
 * takes over the table of another.
 */
import type { Protocol, ServiceId, ServiceSettings } from '../../director/table.ts';
import { serviceFamily } from '../../director/table.ts';
import type { Pool } from '../../scheduling/pool.ts';
import { schedulerAt } from '../../scheduling/registry.ts';
import { addressBytes, formatAddress } from '../../util/ip.ts';
import type { PoolService } from '../pool-table.ts';
import { coversEveryPort, protocolNumber, servicePort } from '../service-facts.ts';
import { Rules, RulesFlag } from './layout.ts';
import { ticksOf } from './ticks.ts';

/** A service as its record tells it. */
export interface KnownService extends Pick<PoolService, 'id' | 'settings'> {
  readonly serial: number;
}

const protocols: readonly Protocol[] = ['tcp', 'udp', 'sctp'];
const proxies = { none: 0, v1: RulesFlag.proxyV1, v2: RulesFlag.proxyV2 } as const;

export class ServiceRules {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #slots: number;
  #serial = 0;

  /** @param memory of the map `rules` */
  constructor(memory: ArrayBuffer, slots: number) {
    this.#view = new DataView(memory);
    this.#bytes = new Uint8Array(memory);
    this.#slots = slots;
    for (let slot = 0; slot < slots; slot++) this.#serial = Math.max(this.#serial, this.serial(slot));
  }

  /** A slot starts a new life. */
  clear(slot: number): void {
    this.#bytes.fill(0, slot * Rules.bytes, (slot + 1) * Rules.bytes);
  }

  add({ slot, id, settings }: PoolService): void {
    const at = slot * Rules.bytes;
    const view = this.#view;
    if (id.kind === 'fwmark') {
      // templates have it in place of the virtual address
      view.setUint32(at + Rules.address, id.mark, true);
      view.setUint32(at + Rules.mark, id.mark, true);
    } else this.#bytes.set(addressBytes(id.address), at + Rules.address);
    view.setUint16(at + Rules.port, servicePort(id), true);
    view.setUint8(at + Rules.protocol, id.kind === 'fwmark' ? 0 : protocolNumber(id.protocol));
    view.setUint32(at + Rules.serial, ++this.#serial, true);
    this.edit({ slot, id, settings });
    view.setUint8(at + Rules.family, serviceFamily(id) === 'inet' ? 4 : 6);
  }

  edit({ slot, id, settings }: Pick<PoolService, 'slot' | 'id' | 'settings'>): void {
    const at = slot * Rules.bytes;
    const view = this.#view;
    const { onePacket, persistence, persistenceEngine, netmask, proxyProtocol } = settings;
    this.#bytes.set(maskBytes(id, netmask), at + Rules.netmask);
    view.setUint32(at + Rules.netmaskSetting, netmask, true);
    view.setUint32(at + Rules.seconds, persistence, true);
    const flags =
      (onePacket ? RulesFlag.onePacket : 0) |
      (coversEveryPort(id) ? RulesFlag.everyPort : 0) |
      (persistenceEngine === 'sip' ? RulesFlag.sip : 0) |
      proxies[proxyProtocol];
    view.setUint32(at + Rules.flags, flags, true);
    view.setUint32(at + Rules.persistence, ticksOf(persistence), true);
  }

  /** Which of the services that ever were this is, or was: they count from 1. */
  serial(slot: number): number {
    return this.#view.getUint32(slot * Rules.bytes + Rules.serial, true);
  }

  /** The service that is or was in this slot, which the pool may have forgotten; undefined when its record was never finished. */
  read(slot: number, pool: Pool): KnownService | undefined {
    const at = slot * Rules.bytes;
    const view = this.#view;
    const family = view.getUint8(at + Rules.family);
    if (family === 0) return undefined;
    const flags = view.getUint32(at + Rules.flags, true);
    const settings: ServiceSettings = {
      scheduler: pool.isService(slot) ? schedulerAt(pool.scheduler(slot)).name : 'none',
      schedulerFlags: pool.flags(slot),
      persistence: view.getUint32(at + Rules.seconds, true),
      netmask: view.getUint32(at + Rules.netmaskSetting, true),
      persistenceEngine: (flags & RulesFlag.sip) === 0 ? '' : 'sip',
      onePacket: (flags & RulesFlag.onePacket) !== 0,
      proxyProtocol:
        (flags & RulesFlag.proxyV2) !== 0 ? 'v2' : (flags & RulesFlag.proxyV1) !== 0 ? 'v1' : 'none',
    };
    return { id: this.#id(at, family), settings, serial: this.serial(slot) };
  }

  /** Slots by the serial of the service that is or was there. */
  bySerial(): ReadonlyMap<number, number> {
    const slots = new Map<number, number>();
    for (let slot = 0; slot < this.#slots; slot++)
      if (this.serial(slot) !== 0) slots.set(this.serial(slot), slot);
    return slots;
  }

  #id(at: number, family: number): ServiceId {
    const view = this.#view;
    const number = view.getUint8(at + Rules.protocol);
    if (number === 0) {
      const mark = view.getUint32(at + Rules.mark, true);
      return { kind: 'fwmark', mark, family: family === 4 ? 'inet' : 'inet6' };
    }
    const address = this.#bytes.slice(at + Rules.address, at + Rules.address + (family === 4 ? 4 : 16));
    return {
      kind: 'address',
      protocol: protocols.find((protocol) => protocolNumber(protocol) === number) ?? 'tcp',
      address: formatAddress(address),
      port: view.getUint16(at + Rules.port, true),
    };
  }
}

/** The mask of clients that share a template, as addresses are on the wire. */
function maskBytes(id: ServiceId, netmask: number): Uint8Array {
  const bytes = new Uint8Array(16);
  if (serviceFamily(id) === 'inet') new DataView(bytes.buffer).setUint32(0, netmask);
  else
    for (let byte = 0; byte < 16; byte++) {
      const bits = Math.min(8, Math.max(0, netmask - 8 * byte));
      bytes[byte] = 0xff00 >> bits;
    }
  return bytes;
}
