/**
 * Says which packets are ours as the table, the interfaces and the packet filter change: to the captures at once, to the guard as soon as
 * it can be told. A verb is settled when both know.
 */
import type { PacketFilterClient } from '../../platform/packet-filter-client.ts';
import { guardedMark } from '../../platform/guard-state.ts';
import type { Address } from '../../util/ip.ts';
import { captureFilter, mostAddresses } from './capture/capture-filter.ts';
import type { Interfaces } from './capture/captured-interfaces.ts';
import type { Claimants } from './claimants.ts';
import type { ClaimsChange } from './claims.ts';
import { Claims, noClaims } from './claims.ts';
import { Guarding } from './guarding.ts';
import { Marks } from '../marks/marks.ts';

export interface ClaimingParts {
  readonly interfaces: Pick<Interfaces, 'guarded' | 'setFilter'>;
  problem(message: string): void;
}

export class Claiming {
  readonly claims = new Claims();
  readonly marks: Marks;
  readonly #parts: ClaimingParts;
  #filter: PacketFilterClient | undefined;
  #guarding: Guarding | undefined;
  /** Addresses of this host. */
  #own: readonly Address[] = [];
  /** Until then an earlier run's guard stays in force. */
  #knowsTable = false;

  constructor(parts: ClaimingParts) {
    this.#parts = parts;
    this.marks = new Marks({
      engine: 'the packet engine',
      services: () => this.claims.marks,
      read: async (known) => await this.#filter?.readPacketFilter(known),
      problem: (message) => {
        parts.problem(message);
      },
    });
  }

  /** From now on there is a guard to tell. */
  guardBy(filter: PacketFilterClient): void {
    this.#filter = filter;
    this.#guarding = new Guarding({
      guard: filter,
      before: () => this.marks.ready(),
      problem: (message) => {
        this.#parts.problem(message);
      },
    });
  }

  get means(): string {
    return this.#guarding?.means ?? 'nothing';
  }

  tableChanged(claimants: Pick<Claimants, 'takeChanged'>): void {
    for (const [name, claimant] of claimants.takeChanged()) this.claims.update(name, claimant);
    const change = this.claims.takeChange();
    if (change !== undefined && (change.addresses || change.marks)) this.#setFilters();
    if (change?.marks === true) this.marks.servicesChanged();
    if (change !== undefined || !this.#knowsTable) this.#guard(change?.guard ?? noClaims);
    this.#knowsTable = true;
  }

  /** Interfaces, or addresses of this host. */
  hostChanged(own: readonly Address[]): void {
    this.#own = own;
    this.#setFilters();
    if (this.#knowsTable) this.#guard(noClaims);
  }

  /** To be called now and then: somebody may have removed the guard's rules, or changed those that set marks. */
  check(): void {
    this.#guarding?.check();
    this.marks.check();
  }

  /** When all that was told is in force, or has been complained about. */
  async settled(): Promise<void> {
    await this.#guarding?.settled();
  }

  async remove(): Promise<void> {
    await this.#guarding?.remove();
  }

  /** For the way out of the process. */
  removeSync(): void {
    this.#guarding?.removeSync();
  }

  #guard(change: ClaimsChange['guard']): void {
    // replies to a virtual address belong to a program on this host that is a client of the service
    const own = this.#own.filter((address) => !this.claims.virtual.has(address));
    this.#guarding?.want({ ...change, interfaces: this.#parts.interfaces.guarded(), own });
  }

  #setFilters(): void {
    const { virtual, servers, marked } = this.claims;
    const few = virtual.size + servers.size <= mostAddresses;
    const spec = few ? { virtual: virtual.items(), servers: servers.items(), own: this.#own } : 'any';
    this.#parts.interfaces.setFilter((link, room) =>
      captureFilter(spec, { link, room: marked ? 0 : room, notMarked: guardedMark }),
    );
  }
}
