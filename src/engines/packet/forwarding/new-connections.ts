/**
 * What happens to a packet that belongs to no connection: is there a service for it, which destination, and the entry in the table.
 * Most come from clients; where a persistence engine knows them, from real servers too.
 * IPVS's rules, in IPVS's order. Hot path under a flood of new connections.
 */
import type { ConnectionKey } from '../../../connections/connection-key.ts';
import { NO_SLOT } from '../../../connections/connection-table.ts';
import { TCP, UDP } from '../../../connections/protocols.ts';
import { NONE } from '../../../scheduling/pool.ts';
import { schedulerAt } from '../../../scheduling/registry.ts';
import type { IpPacket } from '../../../wire/ip-packet.ts';
import type { IcmpErrors } from './icmp-errors.ts';
import { engineData } from './engine-data.ts';
import type { ForwarderParts } from './parts.ts';
import { REPLIED } from './parts.ts';
import type { PacketService } from './services.ts';
import { FTP, FTP_DATA } from '../../service-facts.ts';
import type { Traffic } from './traffic.ts';
import { Drop, Verdict } from './verdict.ts';

const SYN = 0x02;
const RST = 0x04;
const ALWAYS = 3;

/** Where a new connection was put. `slot` is NO_SLOT for one-packet scheduling, which keeps no entry. */
export interface Placed {
  destination: number;
  slot: number;
}

export class NewConnections {
  readonly #parts: ForwarderParts;
  readonly #icmp: IcmpErrors;
  readonly #traffic: Traffic;
  /** The last connection that {@link place} made. */
  readonly placed: Placed = { destination: NONE, slot: NO_SLOT };
  #untilDrop = 0;

  constructor(parts: ForwarderParts, icmp: IcmpErrors, traffic: Traffic) {
    this.#parts = parts;
    this.#icmp = icmp;
    this.#traffic = traffic;
  }

  /** @returns `sent` when {@link placed} holds a new connection; else what becomes of the packet */
  place(packet: IpPacket, key: ConnectionKey, now: number): Verdict | typeof NewConnections.made {
    const { services, settings } = this.#parts;
    if (packet.protocol === TCP && !this.#mayOpen(packet.tcpFlags)) return Verdict.pass;
    const mark = services.marked ? this.#parts.mark(packet) : 0;
    const service = services.find(mark, packet.protocol, packet.family, key.virtual, packet.destinationPort);
    if (service === undefined) return Verdict.pass;
    if (settings.drop_packet === ALWAYS && this.#isNth()) return this.#parts.drops.drop(Drop.dropPacket);
    // an active FTP data connection comes from the server's side, never from a client
    if (packet.sourcePort === FTP_DATA) return Verdict.pass;
    if (!this.#findData(service, packet)) return this.#parts.drops.drop(Drop.noEngineData);
    const destination = this.#choose(service, packet, key, now);
    if (destination === NONE) return this.#refuse(service, packet, now);
    return this.#enter(service, destination, packet, key, now);
  }

  static readonly made = -1;

  /** The port that the client asked for, unless that is the service's own and the server has another. */
  #port(service: PacketService, destination: number, packet: IpPacket): number {
    const port = this.#parts.pool.port(destination);
    const asked = packet.destinationPort;
    if (port === 0) return asked;
    return service.persistent !== undefined && asked !== service.port ? asked : port;
  }

  #mayOpen(flags: number): boolean {
    if ((flags & RST) !== 0) return false;
    return (flags & SYN) !== 0 || this.#parts.settings.sloppy_tcp !== 0;
  }

  #isNth(): boolean {
    if (--this.#untilDrop > 0) return false;
    this.#untilDrop = this.#parts.settings.am_droprate;
    return true;
  }

  /** What the service's persistence engine found in the packet; empty where there is none. */
  #data = '';

  /** @returns false where there is an engine and it finds nothing: IPVS knows no server for such a packet */
  #findData({ engine, persistent }: PacketService, packet: IpPacket): boolean {
    this.#data = '';
    if (engine === '' || persistent === undefined) return true;
    const data = engineData(engine, packet);
    if (data === undefined) return false;
    this.#data = data;
    return true;
  }

  #template = NO_SLOT;

  /** A client of a persistent service goes where it went before, even to a server that gets no new clients. */
  #choose(service: PacketService, packet: IpPacket, key: ConnectionKey, now: number): number {
    const { pool, templates } = this.#parts;
    this.#template =
      service.persistent === undefined ? NO_SLOT : templates.find(key, service.persistent, this.#data);
    if (this.#template !== NO_SLOT) return templates.destination(this.#template);
    const everyPort = service.persistent !== undefined || service.mark !== 0;
    if (!everyPort && packet.destinationPort !== service.port) return NONE;
    if (pool.head(service.slot) === NONE) return NONE;
    key.now = now / 1000;
    return schedulerAt(pool.scheduler(service.slot)).pick(pool, service.slot, key);
  }

  /** As IPVS does: even a TCP client hears ICMP port unreachable, which it takes for a refused connection. */
  #refuse(service: PacketService, packet: IpPacket, now: number): Verdict {
    if (service.port === FTP && packet.destinationPort !== FTP) return Verdict.pass;
    this.#icmp.portUnreachable(packet, now);
    return Verdict.sent;
  }

  #enter(
    service: PacketService,
    destination: number,
    packet: IpPacket,
    key: ConnectionKey,
    now: number,
  ): Verdict | typeof NewConnections.made {
    const { connections, templates, destinations, drops } = this.#parts;
    this.placed.destination = destination;
    this.placed.slot = NO_SLOT;
    if (!(service.onePacket && packet.protocol === UDP)) {
      const slot = connections.insert(key, destination, now, this.#port(service, destination, packet));
      if (slot === NO_SLOT) return drops.drop(Drop.tableFull);
      connections.setFlags(slot, destinations.at(destination)?.method ?? 0);
      this.placed.slot = slot;
    }
    if (service.persistent !== undefined) {
      let template = this.#template;
      if (template === NO_SLOT)
        template = templates.insert(key, service.persistent, destination, now, this.#data);
      else templates.restart(template, now);
      if (template !== NO_SLOT && this.placed.slot !== NO_SLOT)
        connections.setTemplate(this.placed.slot, template);
    }
    this.#traffic.connection(destination);
    return NewConnections.made;
  }

  /**
   * Which destination sent this packet, of which no connection is known, if it is one that may begin connections; else NONE.
   * @param endpoint - where the packet came from, as the virtual endpoint of its key
   */
  beginner(packet: IpPacket, endpoint: ConnectionKey): number {
    const { beginners, services, pool } = this.#parts;
    const { protocol, family } = packet;
    const destination = beginners.find(protocol, family, endpoint.virtual, endpoint.virtualPort);
    if (destination === NONE) return NONE;
    const service = services.at(pool.serviceOf(destination));
    return service !== undefined && this.#findData(service, packet) ? destination : NONE;
  }

  /**
   * The connection that this {@link beginner} has begun.
   * @param key - client, and whatever else; gets the virtual endpoint
   * @returns whether there was room: then {@link placed} holds it
   */
  begin(destination: number, packet: IpPacket, key: ConnectionKey, now: number): boolean {
    const { connections, destinations, pool, services, templates } = this.#parts;
    const service = services.at(pool.serviceOf(destination));
    if (service === undefined) return false;
    key.virtual.set(service.words);
    key.virtualPort = service.port;
    const { persistent } = service;
    const template =
      persistent === undefined ? NO_SLOT : templates.claim(key, persistent, destination, now, this.#data);
    this.placed.destination = destination;
    this.placed.slot = NO_SLOT;
    if (service.onePacket) {
      if (template !== NO_SLOT) templates.answered(template);
    } else {
      const slot = connections.insert(key, destination, now, packet.sourcePort);
      if (slot === NO_SLOT) return false;
      connections.setFlags(slot, (destinations.at(destination)?.method ?? 0) | REPLIED);
      connections.setTemplate(slot, template);
      this.placed.slot = slot;
    }
    this.#traffic.connection(destination);
    return true;
  }
}
