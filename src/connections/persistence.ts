/**
 * Persistence templates: which destination a client, or a client's network, was sent to, so that its next connections go
 * there too without scheduling. As in IPVS they are entries like connections, with client port 0, in a table of their
 * own. Hot path, where no persistence engine is asked.
 */
import { NONE } from '../scheduling/pool.ts';
import type { Pool } from '../scheduling/pool.ts';
import { ConnectionKey } from './connection-key.ts';
import { ConnectionTable, NO_SLOT } from './connection-table.ts';
import type { ConnectionTableOptions, TemplateHolder } from './connection-table.ts';
import { EngineTemplates, portOf } from './engine-templates.ts';
import type { EngineData } from './engine-templates.ts';

/** What of a virtual service decides about its templates. */
export interface PersistentService {
  /** Seconds. */
  readonly timeout: number;
  /** IPv4: 32-bit host-order mask. IPv6: prefix length. */
  readonly netmask: number;
  /** Firewall mark, or 0 for a service with an address. */
  readonly mark: number;
  /** All ports of the virtual address share a template: services of port 0, and FTP's for its data connections. */
  readonly everyPort: boolean;
  /** Name of the persistence engine, if there is one. */
  readonly engine?: string;
}

export interface PersistenceOptions extends Omit<
  ConnectionTableOptions,
  'counts' | 'templates' | 'twoWay' | 'evicted'
> {
  /** IPVS's `expire_quiescent_template`: a quiescent destination loses its clients at their next connection. */
  readonly expireQuiescent?: boolean;
}

/** A template that runs out while connections refer to it lives on for so many seconds at a time. */
const PROLONGATION = 60;

/** Virtual port of a template that no connection may use any more. */
export const INVALID_PORT = 65535;

/** Protocol number of templates of firewall marks: all protocols share them. */
const IP = 0;

/** Word for the count of connections that refer to it. */
const CONTROLLED = 0;
const TIMEOUT = 1;

/** Flags. */
const ASSURED = 1;
const CONFIRMED = 2;

export class PersistenceTable implements TemplateHolder {
  /** The templates, for listing. */
  readonly table: ConnectionTable;
  readonly #pool: Pool;
  readonly #expireQuiescent: boolean;
  readonly #key = new ConnectionKey();
  readonly #engines = new EngineTemplates();

  constructor(pool: Pool, options: PersistenceOptions) {
    const evicted = (template: number): void => {
      this.#engines.forget(template);
    };
    const own = { counts: 'templates', templates: undefined, twoWay: false, evicted } as const;
    this.table = new ConnectionTable(pool, { ...options, ...own });
    this.#pool = pool;
    this.#expireQuiescent = options.expireQuiescent ?? false;
  }

  /**
   * The template for a new connection, or NO_SLOT when there is none or its destination has gone: then schedule and
   * {@link insert}.
   * @param data that the service's persistence engine found; empty without one
   */
  find(connection: ConnectionKey, service: PersistentService, data = ''): number {
    const template = this.#look(connection, service, data);
    if (template === NO_SLOT) return NO_SLOT;
    if (this.#isValid(template)) {
      this.#spare(template);
      return template;
    }
    this.#invalidate(template);
    return NO_SLOT;
  }

  /**
   * The template for a connection that its destination began: that destination is the client's from now on, whichever it had.
   * NO_SLOT when the table is full.
   */
  claim(
    connection: ConnectionKey,
    service: PersistentService,
    destination: number,
    now: number,
    data: string,
  ): number {
    const template = this.#look(connection, service, data);
    if (template !== NO_SLOT) {
      if (this.destination(template) === destination && this.#isValid(template)) {
        this.#spare(template);
        this.restart(template, now);
        return template;
      }
      this.#invalidate(template);
    }
    return this.insert(connection, service, destination, now, data);
  }

  /** The destination of a template's clients: an overloaded one too, a quiescent one too. */
  destination(template: number): number {
    return this.table.destination(template);
  }

  /** A template for the client of a connection that was just scheduled; NO_SLOT when the table is full. */
  insert(
    connection: ConnectionKey,
    service: PersistentService,
    destination: number,
    now: number,
    data = '',
  ): number {
    this.#formKey(connection, service, data);
    const everyPort = service.mark !== 0 || service.everyPort;
    const port = everyPort ? 0 : this.#pool.port(destination);
    const template = this.table.insert(this.#key, destination, now, port);
    if (template === NO_SLOT) return NO_SLOT;
    if (data !== '') this.#engines.add(template, this.#key, service.engine ?? '', data);
    this.table.setUser(template, TIMEOUT, service.timeout);
    this.restart(template, now);
    return template;
  }

  /** Another connection was made from it. It keeps the timeout that it was made with, or that of its last prolongation. */
  restart(template: number, now: number): void {
    this.table.setTimeout(template, this.table.user(template, TIMEOUT), now);
  }

  /** Connections that refer to it. */
  controlled(template: number): number {
    return this.table.user(template, CONTROLLED);
  }

  /** What the persistence engine knows it by; undefined without one. The key of such a template has a client port of no meaning. */
  engineData(template: number): EngineData | undefined {
    return this.#engines.of(template);
  }

  /** `NONE`, or `ASSURED` once a connection from it was established. */
  stateName(template: number): 'NONE' | 'ASSURED' {
    return (this.table.flags(template) & ASSURED) !== 0 ? 'ASSURED' : 'NONE';
  }

  hold(template: number): void {
    this.table.setUser(template, CONTROLLED, this.controlled(template) + 1);
    this.table.confirm(template);
  }

  /** One that nobody refers to, and none of whose connections was confirmed, may make room for others. */
  release(template: number): void {
    const controlled = this.controlled(template) - 1;
    this.table.setUser(template, CONTROLLED, controlled);
    if (controlled === 0 && (this.table.flags(template) & CONFIRMED) === 0) this.table.doubt(template);
  }

  confirm(template: number): void {
    this.table.setFlags(template, this.table.flags(template) | CONFIRMED);
  }

  assure(template: number): void {
    this.table.setFlags(template, this.table.flags(template) | ASSURED);
  }

  /** The server spoke to the client, and no connection was kept of that. */
  answered(template: number): void {
    this.table.confirm(template);
    this.confirm(template);
    this.assure(template);
  }

  /** Lets time pass; to be called about once a second. */
  advance(now: number): void {
    this.table.advance(now, this.#prolong);
  }

  readonly #prolong = (template: number): number => {
    if (this.controlled(template) === 0) {
      this.#engines.forget(template);
      return 0;
    }
    this.table.setUser(template, TIMEOUT, PROLONGATION);
    return PROLONGATION;
  };

  /** The connection that is made from it may evict others, whose templates must not make room by evicting this one. */
  #spare(template: number): void {
    if (this.table.isHalfOpen(template)) this.table.doubt(template);
  }

  #isValid(template: number): boolean {
    const destination = this.destination(template);
    if (destination === NONE || !this.#pool.available(destination)) return false;
    return !this.#expireQuiescent || this.#pool.weight(destination) > 0;
  }

  #look(connection: ConnectionKey, service: PersistentService, data: string): number {
    this.#formKey(connection, service, data);
    return data === '' ? this.table.find(this.#key) : this.#engines.find(this.#key, data);
  }

  /** No connection uses it any more. Its key is the one that was formed last. */
  #invalidate(template: number): void {
    this.#engines.invalidate(template);
    this.#key.virtualPort = INVALID_PORT;
    this.table.rekey(template, this.#key, INVALID_PORT);
  }

  #formKey(connection: ConnectionKey, service: PersistentService, data: string): void {
    const key = this.#key;
    key.words.set(connection.words);
    key.clientPort = data === '' ? 0 : portOf(data);
    if (service.mark !== 0) {
      key.protocol = IP;
      key.virtual.fill(0);
      key.virtual[0] = service.mark;
    }
    if (service.mark !== 0 || service.everyPort) key.virtualPort = 0;
    maskAddress(key.client, key.family, service.netmask);
  }
}

function maskAddress(words: Int32Array, family: 4 | 6, netmask: number): void {
  if (family === 4) {
    words[0] = (words[0] ?? 0) & netmask;
    return;
  }
  for (let word = 0; word < 4; word++) {
    const bits = Math.min(32, Math.max(0, netmask - 32 * word));
    words[word] = bits === 0 ? 0 : (words[word] ?? 0) & (-1 << (32 - bits));
  }
}
