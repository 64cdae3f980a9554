/** The programs of sink.bpf.c on an interface, and what they counted. */
import type { Hook } from './paths.ts';
import { sh } from './shell.ts';

/** Whom a frame has to be for, to be a right one. */
export interface Expected {
  readonly mac: string;
  readonly address: string;
  readonly port: number;
}

export interface Arrived {
  readonly right: number;
  readonly wrong: number;
  readonly dropped: number;
}

/** Not below /sys, which `ip netns` hides. */
const pins = '/run/bpf/sink';

export class Sink {
  readonly #hook: Hook;
  readonly #link: string;
  readonly #ip: string;
  readonly #tc: string;

  /** @param namespace that the interface is in; none: the director's */
  constructor(object: string, hook: Hook, link: string, namespace?: string) {
    const where = namespace === undefined ? '' : `-n ${namespace}`;
    this.#hook = hook;
    this.#link = link;
    this.#ip = `ip ${where}`;
    this.#tc = `tc ${where}`;
    sh(`bpftool prog loadall ${object} ${pins} pinmaps ${pins}/maps`);
    if (hook === 'tc') sh(`${this.#tc} qdisc add dev ${link} clsact`);
  }

  /** Checks every frame: {@link Arrived.right}, {@link Arrived.wrong}. */
  check({ mac, address, port }: Expected): void {
    const bytes = [...mac.split(':').map((byte) => parseInt(byte, 16)), port >> 8, port & 0xff, ...address.split('.')];
    sh(`bpftool map update pinned ${pins}/maps/expected key 0 0 0 0 value ${bytes.join(' ')}`);
    this.#attach('check');
  }

  /** Only drops: {@link Arrived.dropped}. */
  drop(): void {
    this.#attach('drop');
  }

  arrived(): Arrived {
    const rows = JSON.parse(sh(`bpftool -j map dump pinned ${pins}/maps/arrived`)) as readonly {
      readonly formatted: { readonly value: number };
    }[];
    const [right = 0, wrong = 0, dropped = 0] = rows.map(({ formatted }) => formatted.value);
    return { right, wrong, dropped };
  }

  #attach(what: 'check' | 'drop'): void {
    const program = `${pins}/${what}_${this.#hook}`;
    if (this.#hook === 'xdp') sh(`${this.#ip} -force link set dev ${this.#link} xdpdrv pinned ${program}`);
    else sh(`${this.#tc} filter replace dev ${this.#link} ingress prio 1 handle 1 bpf direct-action object-pinned ${program}`);
  }
}
