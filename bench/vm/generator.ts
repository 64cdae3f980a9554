/** The generator at the client's interface: generator.bpf.c, run by a process in the client's namespace. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { BpfObject } from '../../src/platform/bpf/bpf-object.ts';
import { flows, frameBytes } from './frames.ts';
import { compiled } from './place.ts';

/** Not below /sys, which `ip netns` hides. */
const pin = '/run/bpf/generate';
const runner = new URL('generate.js', import.meta.url).pathname;

export class Generator {
  readonly #object: BpfObject;
  readonly #interface: number;
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;

  /** @param index of the client's interface */
  constructor(index: number) {
    this.#interface = index;
    this.#object = BpfObject.open(compiled('generator'));
    this.#object.load();
    this.#object.program('generate').pin(pin);
    const command = ['netns', 'exec', 'client', 'node', runner, pin];
    this.#process = spawn('ip', command, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** @param first the first client's frame @returns nanoseconds a frame, which are instructions here */
  async send(first: Buffer, frames: number): Promise<number> {
    const stream = Buffer.concat([first, Buffer.alloc(12)]);
    stream.writeUInt32LE(this.#interface, frameBytes);
    stream.writeUInt32LE(flows, frameBytes + 4);
    this.#object.map('stream').update(Buffer.alloc(4), stream);
    this.#process.stdin.write(`${frames}\n`);
    const answer: IteratorResult<string, unknown> = await this.#answers.next();
    if (answer.done === true) throw new Error('the generator ended');
    return Number(answer.value);
  }

  close(): void {
    this.#process.stdin.end();
  }
}
