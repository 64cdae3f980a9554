/** harness.bpf.c, loaded: how long a program takes for one packet, without what making the packet takes. */
import { BpfObject } from '../../src/platform/bpf/bpf-object.ts';
import type { BpfProgram } from '../../src/platform/bpf/bpf-program.ts';
import { frameBytes } from './packets.ts';

export type Hook = 'xdp' | 'tc';

export interface Step {
  /** {@link frameBytes}, of the first client. */
  readonly frame: Buffer;
  readonly isReply: boolean;
}

export interface Plan {
  /** At most four. */
  readonly steps: readonly Step[];
  /** A power of two. */
  readonly clients: number;
  /** Any client's first step each time; else all steps of each client, one client after the other. */
  readonly random: boolean;
  /** Not random: where to begin, in steps. */
  readonly from?: number;
}

const stepBytes = frameBytes + 4;
const mostSteps = 4;
/** struct xdp_md, struct __sk_buff. */
const xdpMd = { bytes: 24, dataEnd: 4, interface: 12 } as const;
const skBuff = { bytes: 192, ingressInterface: 36, interface: 40 } as const;

export class Harness {
  readonly #object: BpfObject;
  readonly #contexts: Readonly<Record<Hook, Buffer>>;

  /** @param object compiled from harness.bpf.c @param interfaceIndex that packets come in on */
  constructor(object: string, interfaceIndex: number) {
    this.#object = BpfObject.open(object);
    this.#object.load();
    const [xdp, tc] = [Buffer.alloc(xdpMd.bytes), Buffer.alloc(skBuff.bytes)];
    xdp.writeUInt32LE(frameBytes, xdpMd.dataEnd);
    xdp.writeUInt32LE(interfaceIndex, xdpMd.interface);
    tc.writeUInt32LE(interfaceIndex, skBuff.ingressInterface);
    tc.writeUInt32LE(interfaceIndex, skBuff.interface);
    this.#contexts = { xdp, tc };
  }

  /** A program of the harness itself: xdp_nothing, tc_nothing, xdp_floor. */
  program(name: string): BpfProgram {
    return this.#object.program(name);
  }

  /** @returns nanoseconds a packet, with the harness */
  run(hook: Hook, target: BpfProgram, plan: Plan, packets: number): number {
    this.#object.map('plan').update(Buffer.alloc(4), planBytes(plan));
    const fd = Buffer.alloc(4);
    fd.writeUInt32LE(target.fd);
    this.#object.map(`${hook}_target`).update(Buffer.alloc(4), fd);
    // the kernel looks at the first one's link addresses and type, once
    const [first] = plan.steps;
    const run = {
      data: first?.frame ?? Buffer.alloc(frameBytes),
      context: this.#contexts[hook],
      repeat: packets,
    };
    return this.#object.program(`${hook}_harness`).testRun(run).nanoseconds;
  }

  close(): void {
    this.#object.close();
  }
}

function planBytes({ steps, clients, random, from = 0 }: Plan): Buffer {
  const bytes = Buffer.alloc(stepBytes * mostSteps + 16);
  steps.forEach(({ frame, isReply }, i) => {
    bytes.set(frame, i * stepBytes);
    bytes.writeUInt32LE(isReply ? 1 : 0, i * stepBytes + frameBytes);
  });
  const words = [steps.length, clients - 1, random ? 1 : 0, from];
  words.forEach((word, i) => bytes.writeUInt32LE(word, stepBytes * mostSteps + i * 4));
  return bytes;
}
