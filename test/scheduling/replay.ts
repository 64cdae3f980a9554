/** Does to our scheduler what was done to the kernel's, step by step of a recording. */
import { ConnectionKey } from '../../src/connections/connection-key.ts';
import { EXPIRATION } from '../../src/scheduling/locality.ts';
import type { Lab, NewLab, ServerSettings } from './lab.ts';
import { newLab } from './lab.ts';

/**
 * Every step is an action, `|rs2 w0|`, or a connection with what became of it: `rs3`, `10.1.0.7:41000 rs2`,
 * `10.1.0.2 > 10.1.0.101 ECONNREFUSED`.
 */
export interface Recording {
  readonly scheduler: string;
  readonly flags: string;
  readonly family: 4 | 6;
  /** Of the servers 1, 2, 3, which were added in this order unless `order` says otherwise. */
  readonly weights: readonly number[];
  readonly order?: readonly number[];
  /** Thresholds of all servers. */
  readonly upper: number;
  readonly lower: number;
  /** The client closed each connection before it opened the next. */
  readonly closing: boolean;
  readonly steps: readonly string[];
}

const TCP = 6;
const homes = {
  4: { client: '10.1.0.2', virtual: '10.1.0.100' },
  6: { client: '2001:db8:1::1eef:1f:1001', virtual: '2001:db8:1::100' },
} as const;

export class Replay {
  readonly #recording: Recording;
  /** A service for every virtual address, all filled alike. */
  readonly #services = new Map<string, Lab>();
  /** What was done to every service so far, for one that is met later. */
  readonly #changes: ((lab: Lab) => void)[] = [];
  readonly #settings = new Map<number, Required<ServerSettings>>();
  readonly #flow = new ConnectionKey();
  readonly #newLab: NewLab;
  #now = 1e6;

  constructor(recording: Recording, withLab: NewLab = newLab) {
    this.#recording = recording;
    this.#newLab = withLab;
    const { weights, upper, lower } = recording;
    for (const server of recording.order ?? weights.map((_, at) => at + 1)) {
      this.#add(server, { weight: weights[server - 1] ?? 0, upper, lower });
    }
  }

  /** @returns the step as we would have recorded it */
  step(step: string): string {
    if (step.startsWith('|')) {
      this.#act(step.replaceAll('|', ''));
      return step;
    }
    const parts = /^(?:(\S+) )?(?:> (\S+) )?\w+$/.exec(step);
    if (parts === null) throw new Error(`a step of unknown form: ${step}`);
    const home = homes[this.#recording.family];
    const [, client = home.client, virtual = home.virtual] = parts;
    const [, address = client, port = '50000'] = /^\[?([^\]]+)\]?:(4\d{4})$/.exec(client) ?? [];
    this.#flow.set(TCP, address, Number(port), virtual, 80);
    this.#flow.now = this.#now;
    return step.replace(/\w+$/, this.#connect(this.#service(virtual)));
  }

  #connect(lab: Lab): string {
    const server = lab.pick(this.#flow);
    if (server === undefined) return 'ECONNREFUSED';
    lab.pool.addInactive(lab.slot(server), 1);
    if (!this.#recording.closing) lab.pool.move(lab.slot(server), 'active');
    return `rs${server}`;
  }

  #act(action: string): void {
    const [, verb, number, virtual = homes[this.#recording.family].virtual] =
      /^(?:(add|del|close|gone) )?rs(\d)(?: (\S+:?[.:]\S+))?/.exec(action) ?? [];
    const server = Number(number);
    const lab = this.#service(virtual);
    if (action === 'two thirds of the expiration') this.#now += (EXPIRATION * 2) / 3;
    else if (verb === 'add') this.#add(server, this.#given(server, action));
    else if (verb === 'del') {
      this.#everywhere((lab) => {
        lab.delete(server);
      });
    } else if (verb === 'close') lab.pool.move(lab.slot(server), 'inactive');
    else if (verb === 'gone') lab.pool.addActive(lab.slot(server), -1);
    else if (number !== undefined) {
      const settings = this.#given(server, action);
      this.#everywhere((lab) => {
        lab.edit(server, settings);
      });
    } else throw new Error(`an action of unknown meaning: ${action}`);
  }

  #add(server: number, settings: Required<ServerSettings>): void {
    this.#settings.set(server, settings);
    this.#everywhere((lab) => {
      lab.bringBack(server, settings);
    });
  }

  /** `w1 x2 y0`; what is not named stays. */
  #given(server: number, text: string): Required<ServerSettings> {
    const before = this.#settings.get(server) ?? { weight: 0, upper: 0, lower: 0 };
    const value = (letter: string, before: number) =>
      Number(new RegExp(` ${letter}(\\d+)`).exec(text)?.[1] ?? before);
    const settings = {
      weight: value('w', before.weight),
      upper: value('x', before.upper),
      lower: value('y', before.lower),
    };
    this.#settings.set(server, settings);
    return settings;
  }

  #everywhere(change: (lab: Lab) => void): void {
    this.#changes.push(change);
    for (const lab of this.#services.values()) change(lab);
  }

  #service(virtual: string): Lab {
    let lab = this.#services.get(virtual);
    if (lab === undefined) {
      const { scheduler, flags, family } = this.#recording;
      lab = this.#newLab(
        scheduler,
        (flags.includes('fallback') ? 1 : 0) | (flags.includes('port') ? 2 : 0),
        family,
      );
      for (const change of this.#changes) change(lab);
      this.#services.set(virtual, lab);
    }
    return lab;
  }
}
