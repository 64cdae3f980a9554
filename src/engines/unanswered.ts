/**
 * The commonest fault of an LVS-NAT network: real servers answer, but not through the director, and clients wait. Seen as a SYN that
 * comes again for a connection of which no reply has passed; gathered, so that a flood fills no log.
 */
import type { Address } from '../util/ip.ts';

const MOST_LINES = 10;

/** Why replies may bypass the director: they need no router, the server is the director's own host, or nobody knows. */
export type Bypass = 'neighbours' | 'itself' | 'unknown';

const reasons: Readonly<Record<Bypass, string>> = {
  neighbours:
    'client and real server are on the same network, where replies bypass the director: move one of them, or use gate',
  itself:
    'it is this host itself, whose own stack answers past the director: use gate, and let it listen on the virtual address and port',
  unknown: 'is the server up, and is the director its default gateway?',
};

interface Silence {
  clients: number;
  last: Address;
  bypass: Bypass;
}

export class Unanswered {
  readonly #silences = new Map<number, Silence>();

  note(destination: number, client: () => Address, bypass: Bypass, clients = 1): void {
    const known = this.#silences.get(destination);
    if (known === undefined) this.#silences.set(destination, { clients, last: client(), bypass });
    else {
      known.clients += clients;
      if (bypass !== 'unknown') known.bypass = bypass;
    }
  }

  /** One line a destination for the log, but not of all of them when they are many; begins anew. */
  lines(nameOf: (destination: number) => string): string[] {
    const lines = [...this.#silences].slice(0, MOST_LINES).map(([destination, { clients, last, bypass }]) => {
      const times =
        clients === 1
          ? `client ${last} had to ask again`
          : `clients had to ask again ${clients} times (such as ${last})`;
      return `no reply of ${nameOf(destination)} came through the director, ${times}: ${reasons[bypass]}`;
    });
    const more = this.#silences.size - lines.length;
    if (more > 0) lines.push(`no replies of ${more} more real servers came through the director`);
    this.#silences.clear();
    return lines;
  }
}
