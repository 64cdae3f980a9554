/** harness.bpf.c, loaded: what a program does with packets that it makes, one client's after the other's, and how long that takes. */
import { BpfObject } from '../../src/platform/bpf/bpf-object.ts';
import type { BpfProgram, TestRunResult } from '../../src/platform/bpf/bpf-program.ts';
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
  /** Any client's first step each time, other ones in each run; else all steps of each client, one client after the other. */
  readonly random: boolean;
  /** Not random: the client to begin with. */
  readonly from?: number;
  /** Index of the interface that packets come in on. */
  readonly interfaceIndex: number;
}

const stepBytes = frameBytes + 4;
const mostSteps = 4;
/** struct plan */
const planLayout = { bytes: stepBytes * mostSteps + 16, next: stepBytes * mostSteps + 12 } as const;
/** struct xdp_md, struct __sk_buff. */
const xdpMd = { bytes: 24, dataEnd: 4, interface: 12 } as const;
const skBuff = { bytes: 192, ingressInterface: 36, interface: 40 } as const;

export class Harness {
  readonly #object: BpfObject;
  /** Where the random numbers are. */
  #next = 0;

  /** @param object compiled from harness.bpf.c */
  constructor(object: string) {
    this.#object = BpfObject.open(object);
    this.#object.load();
  }

  /** A program of the harness itself: xdp_nothing, tc_nothing, xdp_floor. */
  program(name: string): BpfProgram {
    return this.#object.program(name);
  }

  /** @returns what became of the last packet, and nanoseconds a packet, with the harness */
  run(hook: Hook, target: BpfProgram, plan: Plan, packets: number): TestRunResult {
    const map = this.#object.map('plan');
    map.update(Buffer.alloc(4), this.#planBytes(plan));
    const fd = Buffer.alloc(4);
    fd.writeUInt32LE(target.fd);
    this.#object.map(`${hook}_target`).update(Buffer.alloc(4), fd);
    // the kernel looks at the first one's link addresses and type, once
    const [first] = plan.steps;
    const result = this.#object.program(`${hook}_harness`).testRun({
      data: first?.frame ?? Buffer.alloc(frameBytes),
      context: contextBytes(hook, plan.interfaceIndex),
      repeat: packets,
    });
    if (plan.random) this.#next = map.lookup(Buffer.alloc(4))?.readUInt32LE(planLayout.next) ?? 0;
    return result;
  }

  close(): void {
    this.#object.close();
  }

  #planBytes({ steps, clients, random, from = 0 }: Plan): Buffer {
    const bytes = Buffer.alloc(planLayout.bytes);
    steps.forEach(({ frame, isReply }, i) => {
      bytes.set(frame, i * stepBytes);
      bytes.writeUInt32LE(isReply ? 1 : 0, i * stepBytes + frameBytes);
    });
    const words = [steps.length, clients - 1, random ? 1 : 0, random ? this.#next : from * steps.length];
    words.forEach((word, i) => bytes.writeUInt32LE(word, stepBytes * mostSteps + i * 4));
    return bytes;
  }
}

function contextBytes(hook: Hook, interfaceIndex: number): Buffer {
  if (hook === 'xdp') {
    const bytes = Buffer.alloc(xdpMd.bytes);
    bytes.writeUInt32LE(frameBytes, xdpMd.dataEnd);
    bytes.writeUInt32LE(interfaceIndex, xdpMd.interface);
    return bytes;
  }
  const bytes = Buffer.alloc(skBuff.bytes);
  bytes.writeUInt32LE(interfaceIndex, skBuff.ingressInterface);
  bytes.writeUInt32LE(interfaceIndex, skBuff.interface);
  return bytes;
}
