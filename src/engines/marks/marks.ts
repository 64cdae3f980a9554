/**
 * The firewall marks of packets. Engines meet packets before the packet filter sets them, so they have to be worked out from the rules
 * that set them; rules that cannot be worked out are told, with the services that do not get traffic because of them.
 */
import type { PacketFilterText } from '../../platform/packet-filter-text.ts';
import type { IpPacket } from '../../wire/ip-packet.ts';
import type { RefusedRule } from './mark-chain.ts';
import { MarkRules } from './mark-rules.ts';
import { packetFilterMarks } from './packet-filter-marks.ts';

/** A service that is named by a firewall mark. */
export interface MarkService {
  readonly family: 4 | 6;
  readonly mark: number;
}

export interface MarksParts {
  /** For messages: `the packet engine`. */
  readonly engine: string;
  services(): readonly MarkService[];
  /** @param known - what is as it was need not be told again @returns undefined when it is as it was */
  read(known: boolean): Promise<PacketFilterText | undefined>;
  problem(message: string): void;
  /** Has these rules in force, where it is not {@link Marks.of} that does it. @returns why those of a family cannot be */
  enforce?(rules: MarkRules): Readonly<Record<4 | 6, string | undefined>>;
}

export class Marks {
  readonly #parts: MarksParts;
  #rules = new MarkRules([]);
  #known = false;
  #refused: readonly RefusedRule[] = [];
  #told = new Set<string>();
  /** There are services for which the rules have not been read. */
  #due = false;
  #reading: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(parts: MarksParts) {
    this.#parts = parts;
  }

  /** Hot path for packets that open connections. */
  of(packet: IpPacket, interfaceName: string): number {
    return this.#rules.markOf(packet, interfaceName);
  }

  /** Services came or went. */
  servicesChanged(): void {
    this.#due = true;
  }

  /** Reads the rules for services that are new. Rejects when they cannot be read; the next call tries again. */
  ready(): Promise<void> {
    if (this.#due) this.#reading = this.#readNew();
    return this.#reading;
  }

  /** To be called now and then: somebody may have changed the rules. */
  check(): void {
    if (this.#parts.services().length === 0) return;
    this.#parts
      .read(true)
      .then((text) => {
        this.#take(text);
      })
      .catch((error: unknown) => {
        this.#parts.problem((error as Error).message);
      });
  }

  /** Has the rules put in force anew: interfaces of other names are there. */
  interfacesChanged(): void {
    if (this.#known) this.#tell(this.#parts.enforce?.(this.#rules));
  }

  /** What is being read at this moment is not put in force any more. */
  close(): void {
    this.#closed = true;
  }

  async #readNew(): Promise<void> {
    this.#due = false;
    try {
      this.#take(await this.#parts.read(false));
    } catch (error) {
      this.#due = true;
      throw error;
    }
  }

  #take(text: PacketFilterText | undefined): void {
    if (text === undefined || this.#closed) return;
    const { rules, refused } = packetFilterMarks(text);
    this.#known = true;
    this.#rules = rules;
    this.#refused = refused;
    this.#tell(this.#parts.enforce?.(rules));
  }

  #tell(unable: Readonly<Record<4 | 6, string | undefined>> = { 4: undefined, 6: undefined }): void {
    const told = new Set(
      this.#parts.services().flatMap((service) => this.#complaints(service, unable[service.family])),
    );
    for (const message of told) if (!this.#told.has(message)) this.#parts.problem(message);
    this.#told = told;
  }

  #complaints({ family, mark }: MarkService, unable: string | undefined): readonly string[] {
    const { engine } = this.#parts;
    const name = `${family === 4 ? 'fwm' : 'fwm6'}:${mark}`;
    const command = family === 4 ? 'iptables' : 'ip6tables';
    if (unable !== undefined)
      return [`${name} gets no packets: ${engine} cannot follow the rules that set marks: ${unable}`];
    const relevant = this.#refused.filter(
      ({ families, mark: given }) => families.includes(family) && (given === undefined || given === mark),
    );
    if (relevant.length > 0) {
      return relevant.map(
        ({ rule, reason }) =>
          `${name} may miss packets: ${engine} cannot follow the rule '${rule}': ${reason}`,
      );
    }
    if (this.#rules.canGive(family, mark)) return [];
    return [
      `${name} gets no packets: no rule gives them the mark (such as ${command} -t mangle -A PREROUTING -d VIP -p tcp --dport 80 -j MARK --set-mark ${mark})`,
    ];
  }
}
