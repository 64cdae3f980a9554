/**
 * Which sockets the threads must have open, and whose connections they must hold, by what the table says. The socket of
 * a TCP service is open only while somebody can be chosen, so that a client is refused at once otherwise, as by IPVS.
 */
import type { ServiceSettings } from '../../director/table.ts';
import type { Pool } from '../../scheduling/pool.ts';
import { NONE } from '../../scheduling/pool.ts';
import type { PoolService, PoolTable, PoolTableEvents } from '../pool-table.ts';
import type { ListenerSpec, ToThread } from './protocol.ts';
import { refusal } from './refusal.ts';

const FTP = 21;

type FollowedEvents = Pick<
  PoolTableEvents,
  'serviceAdded' | 'serviceEdited' | 'serviceRemoved' | 'destinationSet' | 'destinationRemoved'
>;

export interface ListenersParts {
  readonly pool: Pool;
  toThreads(message: ToThread): void;
  /** It has no destination yet: the moment to find out whether its socket can be had at all. */
  serviceAdded(spec: ListenerSpec): void;
}

export class Listeners implements FollowedEvents {
  readonly #parts: ListenersParts;
  /** The threads have its socket open (or are trying). */
  readonly #open = new Set<PoolService>();

  constructor(parts: ListenersParts) {
    this.#parts = parts;
  }

  isOpen(service: PoolService): boolean {
    return this.#open.has(service);
  }

  serviceAdded(service: PoolService): void {
    const spec = listenerSpec(service);
    if (spec !== undefined && refusal(service.id, service.settings) === undefined)
      this.#parts.serviceAdded(spec);
  }

  /** What a listener does for new connections is settled when it opens. */
  serviceEdited(service: PoolService, before: ServiceSettings): void {
    if (listenerChanged(before, service.settings)) this.#close(service);
  }

  serviceRemoved(service: PoolService): void {
    this.#close(service);
  }

  destinationSet(_service: PoolService, { slot }: { readonly slot: number }, revived: boolean): void {
    if (revived) this.#parts.toThreads({ type: 'hold', destination: slot, held: false });
  }

  destinationRemoved(_service: PoolService, { slot }: { readonly slot: number }, held: boolean): void {
    if (held) this.#parts.toThreads({ type: 'hold', destination: slot, held: true });
  }

  applied(table: PoolTable, touched: ReadonlySet<PoolService>): void {
    for (const service of touched) {
      const present = table.service(service.slot) === service;
      this.#openOrClose(service, present && this.#shouldListen(service));
    }
  }

  #openOrClose(service: PoolService, wanted: boolean): void {
    if (wanted === this.#open.has(service)) return;
    if (!wanted) {
      this.#close(service);
      return;
    }
    const spec = listenerSpec(service);
    if (spec === undefined) return;
    this.#open.add(service);
    this.#parts.toThreads({ type: 'listen', spec });
  }

  #close(service: PoolService): void {
    if (this.#open.delete(service)) this.#parts.toThreads({ type: 'unlisten', service: service.slot });
  }

  /** The flows of a UDP service, and the clients of a persistent one, may go on to quiescent servers. */
  #shouldListen({ id, settings, slot }: PoolService): boolean {
    if (refusal(id, settings) !== undefined) return false;
    const { pool } = this.#parts;
    const udp = id.kind === 'address' && id.protocol === 'udp';
    const quiescentToo = udp || settings.persistence > 0;
    for (let d = pool.head(slot); d !== NONE; d = pool.next(d)) {
      if (!pool.barred(d) && (quiescentToo || pool.weight(d) > 0)) return true;
    }
    return false;
  }
}

function listenerChanged(a: ServiceSettings, b: ServiceSettings): boolean {
  return a.proxyProtocol !== b.proxyProtocol || a.persistence !== b.persistence || a.netmask !== b.netmask;
}

function listenerSpec({ id, slot, settings }: PoolService): ListenerSpec | undefined {
  if (id.kind !== 'address' || id.protocol === 'sctp') return undefined;
  const { protocol, address, port } = id;
  const { proxyProtocol, persistence: timeout, netmask } = settings;
  // FTP's data connections follow its control connection.
  const persistent = timeout > 0 ? { timeout, netmask, mark: 0, everyPort: port === FTP } : undefined;
  return { service: slot, protocol, address, port, proxyProtocol, persistent };
}
