/** The programs of sink.bpf.c on an interface, and what they counted. */
import { BpfObject } from '../../src/platform/bpf/bpf-object.ts';
import { ipBytes, ipNumber, macBytes, type Protocol } from './frames.ts';
import type { Hook } from './paths.ts';
import { compiled } from './place.ts';
import { sh } from './shell.ts';

/** What a frame has to be on arrival. */
export interface Expected {
  readonly mac: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
}

export interface Arrived {
  readonly right: number;
  readonly wrong: number;
  readonly dropped: number;
}

/** Not below /sys, which `ip -n` hides. */
const pins = '/run/bpf';

export class Sink {
  readonly #hook: Hook;
  readonly #link: string;
  readonly #where: string;
  readonly #object: BpfObject;

  /** @param namespace that the interface is in; none: the director's */
  constructor(hook: Hook, link: string, namespace?: string) {
    this.#hook = hook;
    this.#link = link;
    this.#where = namespace === undefined ? '' : `-n ${namespace}`;
    this.#object = BpfObject.open(compiled('sink'));
    this.#object.load();
    for (const name of [`check_${hook}`, `drop_${hook}`]) this.#object.program(name).pin(`${pins}/${name}`);
  }

  /** Checks every frame from now on: {@link Arrived.right}, {@link Arrived.wrong}. */
  check({ mac, address, port, protocol }: Expected): void {
    const value = [
      ...macBytes(mac),
      port >> 8,
      port & 0xff,
      ...ipBytes(address),
      ipNumber[protocol],
      0,
      0,
      0,
    ];
    this.#object.map('expected').update(Buffer.alloc(4), Buffer.from(value));
    this.#attach('check');
  }

  /** Only drops: {@link Arrived.dropped}. By default where it is. */
  drop(link = this.#link, namespace?: string): void {
    this.#attach('drop', link, namespace === undefined ? this.#where : `-n ${namespace}`);
  }

  arrived(): Arrived {
    const counters = [...this.#object.map('arrived').entries()].map(([, value]) =>
      Number(value.readBigUInt64LE()),
    );
    const [right = 0, wrong = 0, dropped = 0] = counters;
    return { right, wrong, dropped };
  }

  #attach(what: 'check' | 'drop', link = this.#link, where = this.#where): void {
    const program = `${pins}/${what}_${this.#hook}`;
    if (this.#hook === 'xdp') sh(`ip ${where} -force link set dev ${link} xdpdrv pinned ${program}`);
    else
      sh(
        `tc ${where} qdisc replace dev ${link} clsact
        tc ${where} filter replace dev ${link} ingress prio 1 handle 1 bpf direct-action object-pinned ${program}`,
      );
  }
}
