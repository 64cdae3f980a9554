/** Keeps the programs for firewall marks at what this host's packet filter does: as services, rules and interfaces come and go. */
import { PacketFilterReader } from '../../platform/packet-filter-text.ts';
import type { MarkService, MarksParts } from '../marks/marks.ts';
import { Marks } from '../marks/marks.ts';
import { MarkPrograms } from './mark-programs.ts';
import type { NamedInterface } from './mark-questions.ts';
import type { LoadedDirector } from './program.ts';

export interface MarkKeeperParts {
  readonly director: Pick<LoadedDirector, 'view'>;
  services(): readonly MarkService[];
  problem(message: string): void;
  /** By default {@link PacketFilterReader} does it. */
  readonly read?: MarksParts['read'];
}

export class MarkKeeper {
  readonly #marks: Marks;
  readonly #parts: MarkKeeperParts;
  #interfaces: readonly NamedInterface[] = [];
  /** There have been services. */
  #used = false;
  /** Why the rules could not be read the last time. */
  #failure = '';

  /** What the maps hold stays in force until the rules have been read. */
  constructor(parts: MarkKeeperParts) {
    this.#parts = parts;
    const programs = new MarkPrograms(parts.director);
    const reader = new PacketFilterReader();
    this.#marks = new Marks({
      engine: 'the ebpf engine',
      services: () => parts.services(),
      read: parts.read ?? ((known) => reader.read(known)),
      problem: (message) => {
        parts.problem(message);
      },
      enforce: (rules) => programs.enforce(rules, this.#interfaces),
    });
  }

  /** Some may have come or gone: the rules are read for them. */
  servicesChanged(): void {
    this.#used ||= this.#parts.services().length > 0;
    if (!this.#used) return;
    this.#marks.servicesChanged();
    void this.settled();
  }

  setInterfaces(interfaces: readonly NamedInterface[]): void {
    this.#interfaces = interfaces;
    this.#marks.interfacesChanged();
  }

  /** When the rules are in force for all services, or it has been said why not. */
  async settled(): Promise<void> {
    try {
      await this.#marks.ready();
      this.#failure = '';
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#failure) this.#parts.problem(message);
      this.#failure = message;
    }
  }

  /** To be called now and then: somebody may have changed the rules. */
  check(): void {
    void this.settled();
    this.#marks.check();
  }

  close(): void {
    this.#marks.close();
  }
}
