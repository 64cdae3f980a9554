/**
 * The virtual services as packets meet them: which service a new connection is for, in the order in which IPVS looks: firewall
 * mark, exact endpoint, FTP's data ports, port 0.
 */
import type { PersistentService } from '../../../connections/persistence.ts';
import { TCP } from '../../../connections/protocols.ts';
import type { ServiceId, ServiceSettings } from '../../../director/table.ts';
import { serviceFamily } from '../../../director/table.ts';
import { addressWords } from '../../address-words.ts';
import { coversEveryPort, FTP, FTP_DATA, protocolNumber, servicePort } from '../../service-facts.ts';
import { ABSENT, EndpointMap } from './endpoint-map.ts';

const UNPRIVILEGED = 1024;

export interface PacketService {
  /** Pool slot. */
  readonly slot: number;
  /** The virtual address; of a firewall mark zeros. */
  readonly words: Int32Array;
  /** 0 for a firewall mark, and for every port. */
  readonly port: number;
  /** 0 for a service with an address. */
  readonly mark: number;
  readonly onePacket: boolean;
  /** Persistence engine, or empty. */
  readonly engine: string;
  readonly persistent: PersistentService | undefined;
}

export class Services {
  readonly #bySlot: (PacketService | undefined)[] = [];
  readonly #endpoints = new EndpointMap();
  /** Firewall marks, one map a family. */
  readonly #marks = { 4: new Map<number, number>(), 6: new Map<number, number>() };
  /** How many services each of the rarer lookups could find. */
  #marked = 0;
  readonly #count = { 4: 0, 6: 0 };
  #ftp = 0;
  #everyPort = 0;

  /** Whether packets need to be asked for their mark. */
  get marked(): boolean {
    return this.#marked > 0;
  }

  /** Without any service of a family IPVS leaves all its packets alone, those of old connections too. */
  any(family: 4 | 6): boolean {
    return this.#count[family] > 0;
  }

  set(slot: number, id: ServiceId, settings: ServiceSettings): void {
    this.delete(slot, id);
    this.#bySlot[slot] = describe(slot, id, settings);
    this.#count[serviceFamily(id) === 'inet' ? 4 : 6]++;
    if (id.kind === 'fwmark') {
      this.#marks[id.family === 'inet' ? 4 : 6].set(id.mark, slot);
      this.#marked++;
      return;
    }
    const { family, words } = addressWords(id.address);
    this.#endpoints.set(protocolNumber(id.protocol), family, words, id.port, slot);
    this.#countRare(id, 1);
  }

  delete(slot: number, id: ServiceId): void {
    if (this.#bySlot[slot] === undefined) return;
    this.#bySlot[slot] = undefined;
    this.#count[serviceFamily(id) === 'inet' ? 4 : 6]--;
    if (id.kind === 'fwmark') {
      this.#marks[id.family === 'inet' ? 4 : 6].delete(id.mark);
      this.#marked--;
      return;
    }
    const { family, words } = addressWords(id.address);
    this.#endpoints.delete(protocolNumber(id.protocol), family, words, id.port);
    this.#countRare(id, -1);
  }

  at(slot: number): PacketService | undefined {
    return this.#bySlot[slot];
  }

  /** The service that takes a new connection. `mark` is 0 for none. */
  find(
    mark: number,
    protocol: number,
    family: 4 | 6,
    address: Int32Array,
    port: number,
  ): PacketService | undefined {
    if (mark !== 0) {
      const marked = this.#marks[family].get(mark);
      if (marked !== undefined) return this.#bySlot[marked];
    }
    let slot = this.#endpoints.get(protocol, family, address, port);
    if (slot === ABSENT && this.#ftp > 0 && protocol === TCP && (port === FTP_DATA || port >= UNPRIVILEGED)) {
      slot = this.#endpoints.get(protocol, family, address, FTP);
    }
    if (slot === ABSENT && this.#everyPort > 0) slot = this.#endpoints.get(protocol, family, address, 0);
    return slot === ABSENT ? undefined : this.#bySlot[slot];
  }

  #countRare(id: ServiceId, change: 1 | -1): void {
    if (id.kind === 'fwmark') return;
    if (id.port === 0) this.#everyPort += change;
    if (id.port === FTP && id.protocol === 'tcp') this.#ftp += change;
  }
}

function describe(slot: number, id: ServiceId, settings: ServiceSettings): PacketService {
  const mark = id.kind === 'fwmark' ? id.mark : 0;
  const port = servicePort(id);
  const words = id.kind === 'fwmark' ? new Int32Array(4) : addressWords(id.address).words;
  const { persistence: timeout, netmask, onePacket, persistenceEngine: engine } = settings;
  const persistent =
    timeout > 0 ? { timeout, netmask, mark, everyPort: coversEveryPort(id), engine } : undefined;
  return { slot, words, port, mark, onePacket, engine, persistent };
}
